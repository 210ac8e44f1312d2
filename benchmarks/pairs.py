"""Two ways of running one network, in pairs of fresh processes that take turns.

Both processes of a pair are alive at once and only one computes at a time: every tenth of a second
they change places. So both see the same machine, however its clock and its neighbours change within
seconds, and each is still a whole launch.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from scipy.stats import bootstrap
from subjects import Subject

from groundspeed.deploy.targets.turns import stop, take_turns
from groundspeed.documents import from_plain, to_plain
from groundspeed.measurement import Launch

AGENT = (sys.executable, "-P", "-m", "groundspeed.runtimes.agent")


@dataclass(frozen=True)
class Way:
    """One way of running a network.

    Attributes:
        command: what to start.
        latency_ns: reads the median latency from what the command printed.
        stdin: what the command reads.
    """

    command: Sequence[str]
    latency_ns: Callable[[str], float]
    stdin: str = ""


def launch(model: Subject, threads: int, runs: int) -> Way:
    """Return a Groundspeed launch of ``runs`` inferences."""
    job = model.job(
        "measure",
        threads,
        min_samples=runs,
        max_samples=runs,
        min_seconds=0.0,
        max_warmup_seconds=1.0,
    )
    return Way(AGENT, median_of_launch, json.dumps(to_plain(job)))


def median_of_launch(printed: str) -> float:
    result = json.loads(printed.splitlines()[-1])["result"]
    return statistics.median(from_plain(Launch, result).samples_ns)


def compare(ours: Way, other: Way, pairs: int) -> dict[str, float]:
    """Return the ratio of our latency to the other's, the median over pairs.

    A coin decides which of a pair has the first turn. The interval is a 95 % bootstrap.
    """
    coin = random.Random(0)
    took: dict[str, list[float]] = {"ours": [], "other": []}
    ways = {"ours": ours, "other": other}
    for _ in range(pairs):
        names = coin.sample(list(ways), 2)
        latencies = by_turns([ways[name] for name in names])
        for name, latency in zip(names, latencies, strict=True):
            took[name].append(latency)
    logs = np.log(took["ours"]) - np.log(took["other"])
    interval = bootstrap((logs,), np.median, rng=0, method="percentile").confidence_interval
    return {
        "pairs": pairs,
        "ours_ms": statistics.median(took["ours"]) / 1e6,
        "other_ms": statistics.median(took["other"]) / 1e6,
        "ratio": float(np.exp(np.median(logs))),
        "low": float(np.exp(interval.low)),
        "high": float(np.exp(interval.high)),
    }


def by_turns(ways: Sequence[Way]) -> list[float]:
    """Run all of them to their ends, one at a time by turns; return the median latency of each."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(_started(way)) for way in ways]
        take_turns([process for process, _ in started])
        return [
            way.latency_ns(_printed(process, output))
            for way, (process, output) in zip(ways, started, strict=True)
        ]


@contextlib.contextmanager
def _started(way: Way) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Start a way, stopped; however the block is left, nothing of it goes on running."""
    with (
        tempfile.TemporaryFile("w+") as stdin,
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as chatter,
    ):
        stdin.write(way.stdin)
        stdin.seek(0)
        process = subprocess.Popen(
            way.command,
            stdin=stdin,
            stdout=output,
            stderr=chatter,
            start_new_session=True,
            text=True,
        )
        try:
            stop(process)
            yield process, output
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _printed(process: subprocess.Popen[str], output: IO[str]) -> str:
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    output.seek(0)
    return output.read()
