"""Profiled and plain runs take turns, and the calls that count are told apart."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from groundspeed.runtimes.interleave import BLOCK, WARMUP_RUNS, Times, interleaved


@given(st.integers(1, 23))
def test_as_many_of_each_kind_count_as_were_asked_for(runs: int) -> None:
    calls: list[str] = []
    times = interleaved(lambda: calls.append("plain"), lambda: calls.append("profiled"), runs)
    assert len(times.plain_ns) == len(times.profiled_ns) == len(times.counted) == runs
    assert calls.count("plain") == calls.count("profiled")
    assert times.counted[-1] < calls.count("profiled")


def test_the_first_calls_of_a_block_do_not_count() -> None:
    times = interleaved(lambda: None, lambda: None, 2 * BLOCK)
    block = WARMUP_RUNS + BLOCK
    counted = [*range(WARMUP_RUNS, block), *range(block + WARMUP_RUNS, 2 * block)]
    assert list(times.counted) == counted


def test_the_profilers_cost_is_what_it_adds_and_never_negative() -> None:
    slower = Times(plain_ns=(10, 11, 12), profiled_ns=(15, 16, 99), counted=(0, 1, 2))
    faster = Times(plain_ns=(10, 11, 12), profiled_ns=(1, 2, 3), counted=(0, 1, 2))
    assert slower.profilers_cost_ns == 5
    assert faster.profilers_cost_ns == 0


def test_the_garbage_collector_is_given_back_as_it_was() -> None:
    assert gc.isenabled()
    interleaved(lambda: None, lambda: None, 1)
    assert gc.isenabled()
