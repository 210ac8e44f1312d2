"""Two ways of running one network, in pairs of fresh processes, and the ratio of what they took."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import bootstrap
from subjects import Subject

from groundspeed.deploy.targets.local import LocalTarget

# Median and least latency of one launch, in nanoseconds.
Latency = tuple[float, float]


def launch(model: Subject, threads: int, runs: int) -> Latency:
    """Return what a Groundspeed launch of ``runs`` inferences took, in a fresh process."""
    job = model.job("measure", threads, min_samples=runs, max_samples=runs, min_seconds=0.0)
    samples = LocalTarget().run(job).samples_ns
    return statistics.median(samples), min(samples)


def compare(
    ours: Callable[[], Latency], other: Callable[[], Latency], pairs: int
) -> dict[str, float]:
    """Return the ratio of our latency to the other's; a coin decides which of a pair goes first.

    Medians and minima of the launches are compared apart: a busy machine disturbs minima less.
    """
    coin = random.Random(0)
    took: dict[Callable[[], Latency], list[Latency]] = {ours: [], other: []}
    for _ in range(pairs):
        for measure in coin.sample([ours, other], 2):
            took[measure].append(measure())
    logs = np.log(took[ours]) - np.log(took[other])
    return {
        "pairs": pairs,
        "ours_ms": float(np.median(took[ours], axis=0)[0]) / 1e6,
        "other_ms": float(np.median(took[other], axis=0)[0]) / 1e6,
        **_interval("", logs[:, 0]),
        **_interval("minima_", logs[:, 1]),
    }


def _interval(prefix: str, logs: Sequence[float]) -> dict[str, float]:
    """Return the median ratio over pairs, and its 95 % bootstrap interval."""
    interval = bootstrap((logs,), np.median, rng=0, method="percentile").confidence_interval
    return {
        f"{prefix}ratio": float(np.exp(np.median(logs))),
        f"{prefix}low": float(np.exp(interval.low)),
        f"{prefix}high": float(np.exp(interval.high)),
    }
