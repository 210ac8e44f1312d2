"""Many samples in one launch: their outputs, and no times."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import groundspeed
from groundspeed.documents import write_atomically
from groundspeed.errors import UsageError
from groundspeed.measurement import Answered, Job
from groundspeed.runtimes.affinity import restrict
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.feeds import as_npz, checked, read_feeds
from groundspeed.runtimes.measure import check
from groundspeed.runtimes.session import Array, Runtime

TELL_EVERY_S = 2.0


def answer(job: Job, report_progress: Callable[[str], object]) -> Answered:
    """Compute the outputs of all sets of inputs, one after another.

    Whether they are finite is the asker's to judge, who knows what they mean.

    Args:
        job: what to do, with "answer" as its action.
        report_progress: called with a short sentence now and then.

    Raises:
        UsageError: the job cannot be carried out as it stands.
        ArtifactError: the runtime cannot open the files.
        InputError: the inputs do not fit.
    """
    check(job)
    if job.inputs is None or job.outputs is None:
        raise UsageError("to answer samples, the job must name the files of inputs and outputs")
    restrict(job.options.cpus)
    runtime: Runtime = RUNTIMES.load(job.runtime)()
    report_progress(f"opening in {job.runtime}")
    session = runtime.open(job.files or {}, job.options, job.specs)
    count = job.min_samples
    stacked = [replace(spec, shape=(count, *spec.shape)) for spec in session.inputs]
    inputs = checked(stacked, read_feeds(job.inputs))
    report_progress(f"answering {count} samples")
    answers: list[dict[str, Array]] = []
    told = time.monotonic()
    for index in range(count):
        answers.append(session.run({name: array[index] for name, array in inputs.items()}))
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            report_progress(f"answered {index + 1} of {count} samples")
    session.close()
    outputs = {name: np.stack([each[name] for each in answers]) for name in answers[0]}
    write_atomically(job.outputs, as_npz(outputs))
    return Answered(
        samples=count,
        runtime_version=runtime.version,
        runtime_build=runtime.build,
        agent_version=groundspeed.__version__,
    )
