"""Limits that hold whatever the baseline was: milliseconds, megabytes, errors.

What scatters (latency, first inference and memory from launch to launch, accuracy from sample to
sample) is within its budget when its confidence interval is, over it when the interval is, and
inconclusive in between. Sizes and errors are known exactly.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from groundspeed.artifact import Artifact
from groundspeed.deploy.gate.decision import Verdict
from groundspeed.deploy.store.rows import StoredEvaluation
from groundspeed.measurement import Launch

MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a network may cost; None sets no limit.

    Attributes:
        max_ms: latency, in milliseconds.
        max_first_run_ms: the first inference of a process, in milliseconds.
        max_memory_mb: memory that a process needs more than before it opened the file, at its
            peak, in megabytes (10^6 bytes).
        max_mb: size of all files, in megabytes.
        max_error: largest difference from the network over its largest output, as it was proven
            when the file was made.
        min_accuracy: share of labelled samples that the newest 'groundspeed eval' of this file
            found right.
    """

    max_ms: float | None = None
    max_first_run_ms: float | None = None
    max_memory_mb: float | None = None
    max_mb: float | None = None
    max_error: float | None = None
    min_accuracy: float | None = None

    @property
    def needs_launches(self) -> bool:
        """Whether the file has to be run to tell."""
        return any((self.max_ms, self.max_first_run_ms, self.max_memory_mb))

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return any(value is not None for value in dataclasses.astuple(self))


@dataclass(frozen=True, kw_only=True)
class Spent:
    """One limit of a budget, and what is known about it.

    Attributes:
        name: of the limit, as :class:`Budget` calls it.
        limit: the limit.
        verdict: whether it is kept.
        value: what was found; None when nothing was.
        low, high: confidence limits of the value; the value itself where it is exact.
    """

    name: str
    limit: float
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None


def spend(
    budget: Budget,
    artifact: Artifact,
    launches: Sequence[Launch],
    evaluation: StoredEvaluation | None = None,
    *,
    level: float,
) -> list[Spent]:
    """Return how a file stands to each limit of its budget.

    Args:
        budget: the limits.
        artifact: the file.
        launches: of it, on one device.
        evaluation: the newest of it.
        level: how often a confidence limit may be wrong.
    """
    parity, scored = artifact.manifest.parity, evaluation.scored if evaluation else None
    size = sum(file.size_bytes for file in artifact.manifest.files) / MEGABYTE
    found = {
        "max_ms": [median(one.samples_ns) / 1e6 for one in launches if one.samples_ns],
        "max_first_run_ms": [one.first_run_ns / 1e6 for one in launches],
        "max_memory_mb": [
            (one.peak_memory_bytes - one.baseline_memory_bytes) / MEGABYTE
            for one in launches
            if one.peak_memory_bytes is not None and one.baseline_memory_bytes is not None
        ],
    }
    error = max(each.max_relative for each in parity.agreements) if parity else None
    right = scored.top1 if scored else None
    known = {name: _mean(values, level) for name, values in found.items()} | {
        "max_mb": (size, size, size),
        "max_error": (error, error, error),
        "min_accuracy": (right.value, right.low, right.high) if right else (None, None, None),
    }
    limits = dataclasses.asdict(budget)
    return [
        _judged(name, limit, *known[name]) for name, limit in limits.items() if limit is not None
    ]


def _judged(
    name: str, limit: float, value: float | None, low: float | None, high: float | None
) -> Spent:
    if value is None or low is None or high is None:
        return Spent(name=name, limit=limit, verdict=Verdict.INCONCLUSIVE, value=value)
    at_least = name.startswith("min_")
    kept = low >= limit if at_least else high <= limit
    broken = high < limit if at_least else low > limit
    verdict = Verdict.PASS if kept else Verdict.FAIL if broken else Verdict.INCONCLUSIVE
    return Spent(name=name, limit=limit, verdict=verdict, value=value, low=low, high=high)


def _mean(values: Sequence[float], level: float) -> tuple[float | None, float | None, float | None]:
    """Return a mean with its confidence limits (Student's t, launches as the unit)."""
    if len(values) < 2:
        return (values[0] if values else None), None, None
    # The special function alone: scipy.stats takes ten times as long to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    mean = fmean(values)
    error = stdev(values) / math.sqrt(len(values))
    reach = float(stdtrit(len(values) - 1, 1 - level)) * error
    return mean, mean - reach, mean + reach
