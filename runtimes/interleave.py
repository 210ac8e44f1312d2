"""Profiled and plain runs in short blocks by turns, so that both see the same machine."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

WARMUP_RUNS = 3
BLOCK = 5


@dataclass(frozen=True, kw_only=True)
class Times:
    """End-to-end durations, as many of each kind.

    Attributes:
        profiled_ns: of the profiled runs that count.
        plain_ns: of the plain runs that count.
        counted: which calls of the profiled one count, by their index among all that were made.
    """

    profiled_ns: tuple[int, ...]
    plain_ns: tuple[int, ...]
    counted: tuple[int, ...]

    @property
    def profilers_cost_ns(self) -> float:
        """What profiling adds to a run: the difference of the medians, at least 0."""
        return max(0.0, statistics.median(self.profiled_ns) - statistics.median(self.plain_ns))


def interleaved(plain: Callable[[], object], profiled: Callable[[], object], runs: int) -> Times:
    """Run both by turns, :data:`BLOCK` runs at a time, until ``runs`` of each are counted.

    The first runs of a block do not count: the other kind has just pushed this kind's weights out
    of the caches, and no launch that only measures pays for that.
    """
    durations: dict[bool, list[int]] = {True: [], False: []}
    counted: list[int] = []
    calls = 0
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        while len(counted) < runs:
            size = min(BLOCK, runs - len(counted))
            durations[False] += _block(plain, size)
            durations[True] += _block(profiled, size)
            counted += range(calls + WARMUP_RUNS, calls + WARMUP_RUNS + size)
            calls += WARMUP_RUNS + size
    finally:
        if was_enabled:
            gc.enable()
    return Times(
        profiled_ns=tuple(durations[True]),
        plain_ns=tuple(durations[False]),
        counted=tuple(counted),
    )


def _block(call: Callable[[], object], size: int) -> list[int]:
    for _ in range(WARMUP_RUNS):
        call()
    times = []
    for _ in range(size):
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return times
