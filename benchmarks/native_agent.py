"""Whether the native agent's latency is that of the Python agent, and of the bare engine.

For each network: pairs of fresh processes that take turns (``pairs.py``). One of each pair is the
native agent, built for this machine; the other is the Python agent, or a bare loop: for ncnn in C++
with the library of the agent, else those of ``fidelity.py``. Printed is the ratio of the medians,
the median over pairs, with a 95 % bootstrap interval.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path, PurePosixPath

import numpy as np
from fidelity import WARMUP, bare
from pairs import Way, compare, launch, median_of_launch
from rows import show
from subjects import Subject, parser, subject

from groundspeed.deploy.agents.native import build_runner, ncnn_library
from groundspeed.deploy.agents.toolchain import architecture, find_toolchain, run
from groundspeed.documents import to_plain
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.feeds import random_feeds
from groundspeed.runtimes.ncnn_param import read_param

MACHINE = platform.machine()


def native(model: Subject, threads: int, runs: int, inputs: Path) -> Way:
    """Return a launch of the native agent."""
    runner = build_runner(model.runtime, MACHINE, on_progress=tell)
    job = model.job(
        "measure",
        threads,
        min_samples=runs,
        max_samples=runs,
        min_seconds=0.0,
        max_warmup_seconds=1.0,
        inputs=inputs,
    )
    command = runner.command({path: PurePosixPath(path) for path in runner.files})
    return Way(command, median_of_launch, json.dumps(to_plain(job)))


def bare_ncnn(model: Subject, threads: int, runs: int, scratch: Path) -> Way:
    """Return a bare loop over the library that the native agent has."""
    toolchain = find_toolchain(architecture(MACHINE))
    library = ncnn_library(MACHINE, on_progress=tell)
    program = scratch / "bare_ncnn"
    if not program.exists():
        source = Path(__file__).with_name("bare_ncnn.cpp")
        words = ["-O2", "-std=c++17", f"-I{library / 'include/ncnn'}", source]
        linked = [library / "lib/libncnn.a", "-fopenmp", "-static", "-o", program]
        run([*toolchain.cxx, *words, *linked], "compiling the bare loop")
    _, channels, height, width = model.specs[0].shape
    last = read_param(model.files["param"])[-1].tops[0]
    numbers = (threads, WARMUP, runs, width, height, channels)
    command = [program, model.files["param"], model.files["bin"], last, *numbers]
    return Way([str(word) for word in command], lambda printed: float(printed))


def measure(model: Subject, threads: int, pairs: int, runs: int) -> list[dict[str, object]]:
    """Return the ratios of one network."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        session = RUNTIMES.load(model.runtime)().open(
            model.files, model.job("", 1).options, model.specs
        )
        np.savez(scratch / "inputs.npz", **random_feeds(session.inputs, 0))  # type: ignore[arg-type]
        session.close()
        ours = native(model, threads, runs, scratch / "inputs.npz")
        loop = bare_ncnn if model.runtime == "ncnn" else bare
        others = {
            "Python agent": launch(model, threads, runs),
            "bare loop": loop(model, threads, runs, scratch),
        }
        row = {"model": model.name, "runtime": model.runtime, "threads": threads}
        return [
            {**row, "against": name, **compare(ours, other, pairs)}
            for name, other in others.items()
        ]


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--pairs", type=int, default=12)
    options.add_argument("--runs", type=int, default=400)
    asked = options.parse_args()
    models = (subject(path, tuple(asked.shape)) for path in asked.models)
    rows = (
        row for model in models for row in measure(model, asked.threads, asked.pairs, asked.runs)
    )
    show(rows, as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
