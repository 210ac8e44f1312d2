"""Boundaries against an independent integral, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from groundspeed.deploy.gate.boundaries import nominal_levels

LOOKS = (10, 16, 24, 32, 40)


@settings(max_examples=20, deadline=None)
@given(level=st.floats(0.0005, 0.2), first=st.integers(1, 39))
def test_two_looks_together_reject_as_often_as_the_level_says(level: float, first: int) -> None:
    """The oracle is scipy's bivariate normal distribution."""
    one, two = nominal_levels(level, (first, 40))
    share = (first / 40) ** 0.5
    go_on = multivariate_normal([0, 0], [[1, share], [share, 1]]).cdf([-ndtri(one), -ndtri(two)])
    assert 1 - go_on == pytest.approx(level, rel=1e-3)


def test_five_looks_reject_as_often_as_the_level_says() -> None:
    noise = np.random.default_rng(0).standard_normal((400_000, 40))
    levels = nominal_levels(0.05, LOOKS)
    rejected = np.zeros(len(noise), dtype=bool)
    for look, level in zip(LOOKS, levels, strict=True):
        rejected |= noise[:, :look].sum(axis=1) / look**0.5 > -ndtri(level)
    assert rejected.mean() == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / len(noise)) ** 0.5)


def test_one_look_spends_everything() -> None:
    assert nominal_levels(0.01, (40,)) == pytest.approx((0.01,))


def test_later_looks_may_reject_more_easily() -> None:
    levels = nominal_levels(0.01, LOOKS)
    assert list(levels) == sorted(levels)
    assert levels[-1] < 0.01


@pytest.mark.parametrize(
    ("level", "looks"), [(0.0, (5,)), (0.5, (5,)), (0.01, ()), (0.01, (8, 5)), (0.01, (5, 5))]
)
def test_what_has_no_boundaries_is_refused(level: float, looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no boundaries"):
        nominal_levels(level, looks)
