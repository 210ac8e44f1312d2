"""The rule of verdicts, on logarithms that are made up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groundspeed.deploy.feedback.guidelines.verdict import (
    LEAST_ROUNDS,
    NEGLIGIBLE,
    Estimate,
    Verdict,
    is_exception,
    judge,
    ratio,
    trends,
)

STEPS = (0, 1, 2, 3)


def judged(a_step: float, scatter: float, rounds: int = 10, seed: int = 0) -> Verdict:
    """Return the verdict on variants that get slower by a share each step."""
    generator = np.random.default_rng(seed)
    logarithms = np.log1p(a_step) * np.array(STEPS) + generator.normal(0, scatter, (rounds, 4))
    return judge(ratio(trends(logarithms, STEPS), 1), rounds)


@pytest.mark.parametrize(
    ("a_step", "scatter", "verdict"),
    [
        (0.10, 0.01, Verdict.HOLDS),
        (0.02, 0.001, Verdict.HOLDS),
        (0.00, 0.005, Verdict.DOES_NOT_HOLD),
        (0.005, 0.001, Verdict.DOES_NOT_HOLD),
        (-0.10, 0.01, Verdict.DOES_NOT_HOLD),
        (0.02, 0.50, Verdict.INCONCLUSIVE),
        (0.00, 0.50, Verdict.INCONCLUSIVE),
    ],
)
def test_the_whole_interval_must_lie_on_one_side(
    a_step: float, scatter: float, verdict: Verdict
) -> None:
    assert judged(a_step, scatter) is verdict


def test_few_rounds_decide_nothing() -> None:
    assert judged(0.5, 1e-6, rounds=LEAST_ROUNDS - 1) is Verdict.INCONCLUSIVE
    assert judged(0.5, 1e-6, rounds=LEAST_ROUNDS) is Verdict.HOLDS
    assert judge(ratio([0.5], 1), rounds=1) is Verdict.INCONCLUSIVE


def test_a_guideline_at_the_edge_is_decided_wrongly_in_one_of_twenty_runs_at_most() -> None:
    verdicts = [judged(NEGLIGIBLE, 0.03, seed=seed) for seed in range(1000)]
    decided = sum(verdict is not Verdict.INCONCLUSIVE for verdict in verdicts)
    assert stats.binomtest(decided, 1000, 0.05).pvalue > 1e-3


def test_the_trend_is_numpys_line_through_the_points() -> None:
    logarithms = np.random.default_rng(1).normal(size=(6, 4))
    slopes = [np.polyfit(STEPS, row, 1)[0] for row in logarithms]
    assert trends(logarithms, STEPS) == pytest.approx(slopes)


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5))
def test_a_machine_that_gets_slower_in_a_round_changes_no_trend(slower: list[float]) -> None:
    logarithms = np.random.default_rng(2).normal(size=(5, 4))
    worse = logarithms + np.array(slower)[:, None]
    assert trends(worse, STEPS) == pytest.approx(trends(logarithms, STEPS), abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12), st.integers(1, 60))
def test_more_comparisons_never_narrow_an_interval(values: list[float], comparisons: int) -> None:
    alone, together = ratio(values, 1), ratio(values, comparisons)
    assert alone.low is not None
    assert alone.high is not None
    assert together.low is not None
    assert together.high is not None
    assert together.low <= alone.low * (1 + 1e-12)
    assert together.high >= alone.high * (1 - 1e-12)
    assert alone.value == together.value == pytest.approx(math.exp(np.mean(values)))


def test_an_exception_is_faster_beyond_doubt_and_by_more_than_nothing() -> None:
    faster = Estimate(value=1.1, low=1.02, high=1.2)
    assert is_exception(faster, rounds=5)
    assert not is_exception(faster, rounds=4)
    assert not is_exception(Estimate(value=1.1, low=0.99, high=1.2), rounds=9)
    assert not is_exception(Estimate(value=1.006, low=1.005, high=1.007), rounds=9)
    assert not is_exception(Estimate(value=1.1, low=None, high=None), rounds=9)
