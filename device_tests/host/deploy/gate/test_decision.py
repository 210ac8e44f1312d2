"""Verdicts from limits, and families of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.gate.decision import Verdict, holm, judge, overall, pairs_needed
from groundspeed.deploy.gate.evidence import Evidence

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def between(low: float, high: float) -> Evidence:
    return Evidence(
        pairs=40,
        estimate=(low + high) / 2,
        deviation=0.03,
        low=math.log1p(low),
        high=math.log1p(high),
        level=0.01,
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.02, PASS),
        (0.005, 0.02, PASS),  # slower, but by less than the margin
        (-0.20, -0.10, PASS),
        (-0.01, 0.04, INCONCLUSIVE),
        (0.001, 0.04, FAIL),
        (0.05, 0.08, FAIL),
    ],
)
def test_a_verdict_follows_from_the_limits(low: float, high: float, verdict: Verdict) -> None:
    assert judge(between(low, high), 0.03) is verdict


def test_limits_that_are_not_known_are_inconclusive() -> None:
    nothing = Evidence(pairs=0, estimate=0, deviation=0, low=-math.inf, high=math.inf, level=0.01)
    assert judge(nothing, 0.03) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([PASS, PASS], PASS),
        ([PASS, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, FAIL, PASS], FAIL),
        ([], INCONCLUSIVE),  # never a silent pass
    ],
)
def test_the_worst_verdict_counts(verdicts: list[Verdict], worst: Verdict) -> None:
    assert overall(verdicts) is worst


def test_holm_as_in_the_textbook() -> None:
    """S. Holm's procedure by hand: 0.01 < 0.05/4, 0.013 < 0.05/3, 0.03 > 0.05/2."""
    assert holm([0.03, 0.01, 0.6, 0.013], 0.05) == [False, True, False, True]


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.2))
def test_holm_shows_all_that_bonferroni_shows(levels: list[float], level: float) -> None:
    shown = holm(levels, level)
    for one, holds in zip(levels, shown, strict=True):
        assert holds or one > level / len(levels)
        assert not holds or one <= level


def test_half_the_margin_takes_four_times_the_pairs() -> None:
    smallest = math.log1p(0.03)
    assert pairs_needed(smallest, 40, 0.03) == 40
    assert pairs_needed(2 * smallest, 40, 0.03) == 160
