"""One launch: open an artifact in this fresh process, warm up, take samples."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

import groundspeed
from groundspeed.documents import write_atomically
from groundspeed.errors import NonFiniteOutput, UsageError
from groundspeed.measurement import PRECISIONS, Conditions, Job, Launch
from groundspeed.runtimes.affinity import restrict
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.conditions import memory_bytes, read_conditions, read_machine
from groundspeed.runtimes.feeds import as_npz, checked, random_feeds, read_feeds
from groundspeed.runtimes.session import Array, Runtime
from groundspeed.runtimes.warmup import warm_up

ACTIONS = ("measure", "profile", "answer")
PROFILE_SECONDS = 10.0
LEAST_PROFILED_RUNS = 20
LOOK_EVERY_S = 1.0
INFERENCES_A_LOOK = 20  # a look and the inference after it cost at most this share of the time


def launch(job: Job, report_progress: Callable[[str], object]) -> Launch:
    """Carry out a job in this process, which should have opened nothing before.

    Args:
        job: what to do.
        report_progress: called with a short sentence at each stage, never between samples.

    Raises:
        UsageError: the job cannot be carried out as it stands.
        ArtifactError: the runtime cannot open the files.
        InputError: the inputs do not fit.
        NonFiniteOutput: the network answered NaN or infinity.
    """
    check(job)
    granted = restrict(job.options.cpus)
    runtime: Runtime = RUNTIMES.load(job.runtime)()
    baseline = memory_bytes("VmRSS")
    report_progress(f"opening in {job.runtime}")
    begin = time.perf_counter_ns()
    session = runtime.open(job.files or {}, job.options, job.specs)
    load_ns = time.perf_counter_ns() - begin
    feeds = checked(
        session.inputs,
        random_feeds(session.inputs, job.seed) if job.inputs is None else read_feeds(job.inputs),
    )
    call = session.bind(feeds)
    first_run_ns = _timed(call)
    report_progress("warming up")
    warmup = warm_up(call, job.max_warmup_seconds)
    report_progress("sampling")
    before = read_conditions()
    samples_ns, during = _sample(call, job)
    after = read_conditions()
    # The peak is the network's own: profilers and saved outputs come after it.
    peak = memory_bytes("VmHWM")
    outputs = session.run(feeds)
    check_finite(outputs)
    if job.outputs is not None:
        write_atomically(job.outputs, as_npz(outputs))
    profile = None
    if job.action == "profile":
        runs = profiled_runs(job.profile_runs, samples_ns)
        report_progress(f"profiling {runs} runs")
        profile = session.profile(feeds, runs)
    session.close()
    return Launch(
        runtime=job.runtime,
        runtime_version=runtime.version,
        runtime_build=runtime.build,
        options=job.options,
        cpus_granted=granted,
        load_ns=load_ns,
        first_run_ns=first_run_ns,
        warmup_ns=warmup.samples_ns,
        steady=warmup.steady,
        samples_ns=samples_ns,
        peak_memory_bytes=peak,
        baseline_memory_bytes=baseline,
        machine=read_machine(),
        before=before,
        after=after,
        during=during,
        profile=profile,
        agent_version=groundspeed.__version__,
    )


def profiled_runs(asked: int, samples_ns: Sequence[int]) -> int:
    """Return how many runs to profile: as asked, but fewer of a network that takes long.

    Every profiled run has a plain one beside it, and some of each do not count.
    """
    affordable = int(PROFILE_SECONDS * 1e9 / (4 * statistics.median(samples_ns)))
    return min(asked, max(LEAST_PROFILED_RUNS, affordable))


def check_finite(outputs: Mapping[str, Array]) -> None:
    """Raise NonFiniteOutput when a floating-point output holds NaN or infinity."""
    for name, value in outputs.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise NonFiniteOutput(
                f"the output '{name}' holds NaN or infinity, so its latency would describe "
                "nothing useful; check the inputs, the weights, and fp16's range"
            )


def check(job: Job) -> None:
    """Raise UsageError when a job cannot be carried out as it stands."""
    if job.action not in ACTIONS:
        raise UsageError(f"there is no action '{job.action}'; known: {', '.join(ACTIONS)}")
    if job.options.threads < 1:
        raise UsageError(f"{job.options.threads} threads cannot run anything; ask for 1 or more")
    if job.options.precision not in PRECISIONS:
        raise UsageError(
            f"there is no precision '{job.options.precision}'; known: {', '.join(PRECISIONS)}"
        )
    if not 1 <= job.min_samples <= job.max_samples:
        raise UsageError(
            f"between {job.min_samples} and {job.max_samples} samples were asked for; "
            "ask for at least 1, and for no fewer at most than at least"
        )
    if job.action == "profile" and job.profile_runs < 1:
        raise UsageError("a profile needs at least 1 run")


def _timed(call: Callable[[], object]) -> int:
    begin = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - begin


def _sample(call: Callable[[], object], job: Job) -> tuple[tuple[int, ...], tuple[Conditions, ...]]:
    """Take samples until there are enough of them and enough time has passed.

    Nothing happens between two of them but an append: a collection or a print would push the
    network's weights out of the caches. About once a second the machine is looked at; the inference
    that follows such a look brings the caches back and is not counted.
    """
    clock = time.perf_counter_ns
    samples: list[int] = []
    looks: list[Conditions] = []
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        now = last_look = clock()
        end = now + round(job.min_seconds * 1e9)
        every_ns = round(LOOK_EVERY_S * 1e9)
        while len(samples) < job.max_samples and (len(samples) < job.min_samples or now < end):
            if now - last_look > every_ns:
                looks.append(read_conditions())
                call()
                last_look = clock()
                every_ns = max(every_ns, INFERENCES_A_LOOK * samples[-1])
            begin = clock()
            call()
            now = clock()
            samples.append(now - begin)
    finally:
        if was_enabled:
            gc.enable()
    return tuple(samples), tuple(looks)
