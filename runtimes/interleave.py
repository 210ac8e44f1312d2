"""Profiled and plain runs in turn, so that both see the same machine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

WARMUP_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Times:
    """End-to-end durations, one of each kind for each turn."""

    profiled_ns: tuple[int, ...]
    plain_ns: tuple[int, ...]


def interleaved(plain: Callable[[], object], profiled: Callable[[], object], turns: int) -> Times:
    """Run both in turn, after :data:`WARMUP_RUNS` of each.

    The order changes every turn: whichever runs second finds its weights pushed out of the cache
    by the first, and neither kind shall bear that alone.
    """
    for _ in range(WARMUP_RUNS):
        plain()
        profiled()
    durations: dict[bool, list[int]] = {True: [], False: []}
    gc_was_on = gc.isenabled()
    gc.disable()
    try:
        for turn in range(turns):
            for is_profiled in (True, False) if turn % 2 else (False, True):
                call = profiled if is_profiled else plain
                start = time.perf_counter_ns()
                call()
                durations[is_profiled].append(time.perf_counter_ns() - start)
    finally:
        if gc_was_on:
            gc.enable()
    return Times(profiled_ns=tuple(durations[True]), plain_ns=tuple(durations[False]))
