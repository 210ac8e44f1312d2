"""Intervals of differences: against Student's, against scipy's trimmed error, and by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.stats import mstats

from groundspeed.deploy.feedback.differences import mean_difference

Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(random: np.random.Generator, count: int) -> np.ndarray:
    return random.normal(size=count)


def disturbed(random: np.random.Generator, count: int) -> np.ndarray:
    """Return normal values of which one in ten is ten times as far away."""
    return random.normal(size=count) * np.where(random.random(count) < 0.1, 10, 1)


@pytest.mark.parametrize("comparisons", [1, 7])
def test_few_rounds_have_students_interval(comparisons: int) -> None:
    values = [5.0, 7.0, 1.0, 4.0, 4.5, 9.0]
    time = mean_difference(values, comparisons=comparisons, times=2)
    expected = stats.ttest_1samp(np.array(values) / 2, 0).confidence_interval(
        1 - 0.05 / comparisons
    )
    assert time.ns == pytest.approx(np.mean(values) / 2)
    assert (time.low_ns, time.high_ns) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("count", "left_out"), [(10, 1), (19, 1), (20, 2), (40, 4)])
def test_many_rounds_leave_out_their_extremes(count: int, left_out: int) -> None:
    values = list(np.random.default_rng(count).normal(size=count))
    time = mean_difference(values, comparisons=1)
    share = left_out / count
    assert time.ns == pytest.approx(stats.trim_mean(values, share))
    kept = count - 2 * left_out
    # Tukey and McLaughlin's error, which scipy has, is that of very many rounds.
    error = mstats.trimmed_stde(values, (share, share)) * math.sqrt(
        (count - 1) * kept / (count * (kept - 1))
    )
    reach = stats.t.ppf(0.975, kept - 1) * error
    assert time.high_ns - time.ns == pytest.approx(reach)
    assert time.ns - time.low_ns == pytest.approx(reach)


def test_one_disturbed_round_of_ten_changes_nothing_much() -> None:
    values = [float(value) for value in range(10)]
    calm = mean_difference(values, comparisons=3)
    stormy = mean_difference([*values[:-1], 1e9], comparisons=3)
    assert stormy == calm


@pytest.mark.parametrize("draw", [normal, disturbed])
@pytest.mark.parametrize("rounds", [5, 10, 20])
def test_intervals_hold_the_truth_as_often_as_they_say(draw: Draw, rounds: int) -> None:
    random = np.random.default_rng(rounds)
    held = 0
    for _ in range(2000):
        time = mean_difference(list(3 + draw(random, rounds)), comparisons=1)
        held += time.low_ns <= 3 <= time.high_ns
    assert held / 2000 >= 0.94


def test_all_of_several_intervals_hold_together() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(500):
        times = [mean_difference(list(random.normal(size=10)), comparisons=8) for _ in range(8)]
        held += all(time.low_ns <= 0 <= time.high_ns for time in times)
    assert held / 500 >= 0.93
