"""Inferences that are not counted: caches fill, clocks rise, allocators find their size."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WINDOW = 5
TOLERANCE = 0.02


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """What the warm-up took.

    Attributes:
        samples_ns: its inferences in order.
        steady: whether it ended because times were steady, not because its budget was spent.
    """

    samples_ns: tuple[int, ...]
    steady: bool


def is_steady(samples_ns: Sequence[int]) -> bool:
    """Whether the last three windows of :data:`WINDOW` samples stopped getting faster.

    Steady means that the last window's median is within :data:`TOLERANCE` of the fastest of the
    two before it, or within its own spread (interquartile range) where the machine is noisier
    than that. A median ignores a single late inference; the spread keeps a noisy machine from
    warming up for ever, and being that of one window, it does not hide a trend.
    """
    if len(samples_ns) < 3 * WINDOW:
        return False
    recent = samples_ns[-3 * WINDOW :]
    first, second, last = (
        statistics.median(recent[start : start + WINDOW]) for start in range(0, 3 * WINDOW, WINDOW)
    )
    lower, _, upper = statistics.quantiles(recent[-WINDOW:], n=4)
    return abs(last - min(first, second)) <= max(TOLERANCE * last, upper - lower)


def warm_up(call: Callable[[], object], max_seconds: float) -> Warmup:
    """Call until :func:`is_steady` or until ``max_seconds`` are over, at least once."""
    samples: list[int] = []
    steady = False
    end = time.perf_counter_ns() + round(max_seconds * 1e9)
    while not steady:
        begin = time.perf_counter_ns()
        call()
        now = time.perf_counter_ns()
        samples.append(now - begin)
        steady = is_steady(samples)
        if now >= end:
            break
    return Warmup(samples_ns=tuple(samples), steady=steady)
