"""Profiled and plain runs taken in turn, so that a machine that slows down slows both."""

from __future__ import annotations

import time
from collections.abc import Callable

BLOCK = 5


def interleave(
    plain: Callable[[], object], profiled: Callable[[], object], runs: int
) -> tuple[list[int], list[int]]:
    """Return the wall times of ``runs`` plain runs and of ``runs`` profiled ones, in nanoseconds.

    They alternate in short blocks. The first run of a block is taken but not counted: the other
    kind has just had the caches to itself.

    Args:
        plain: one inference.
        profiled: one inference with the profiler on; called with the first of a block too, so it
            must sort out by itself which calls count (every ``BLOCK + 1``-th from the first does
            not; see :func:`counted`).
        runs: runs of each kind that count.
    """
    plain_ns: list[int] = []
    profiled_ns: list[int] = []
    while len(plain_ns) < runs:
        size = min(BLOCK, runs - len(plain_ns))
        plain_ns += _block(plain, size)
        profiled_ns += _block(profiled, size)
    return plain_ns, profiled_ns


def counted(calls: int) -> list[int]:
    """Return the indices of the profiled calls that count, out of all that were made."""
    return [index for index in range(calls) if index % (BLOCK + 1)]


def _block(call: Callable[[], object], size: int) -> list[int]:
    call()
    times = []
    for _ in range(size):
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return times
