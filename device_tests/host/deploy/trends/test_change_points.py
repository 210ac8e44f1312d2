"""Steps, drifts, outliers and nothing at all, with known answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.deploy.trends.change_points import LEAST, trend

SCATTER = 0.02


def noise(length: int, seed: int) -> np.ndarray:
    return SCATTER * np.random.default_rng(seed).standard_normal(length)


@pytest.mark.parametrize("by", [1.05, 0.9])
def test_a_step_is_found_sized_and_placed(by: float) -> None:
    covered = 0
    for seed in range(20):
        logs = noise(60, seed)
        logs[35:] += np.log(by)
        (step,) = trend(np.exp(logs).tolist()).steps
        assert abs(step.index - 35) <= 4
        assert step.ratio == pytest.approx(by, abs=0.03)
        covered += step.low < by < step.high
    assert covered >= 15  # limits of 95 % cover fewer than that once in 400 times


def test_two_steps_are_two() -> None:
    logs = noise(90, 1)
    logs[30:60] += np.log(1.1)
    up, down = trend(np.exp(logs).tolist()).steps
    assert up.ratio > 1 > down.ratio


def test_nothing_is_seldom_something() -> None:
    """The rate is measured in benchmarks/change_points.py; here it is bounded."""
    found = [bool(trend(np.exp(noise(40, seed)).tolist()).steps) for seed in range(60)]
    assert sum(found) <= 4  # a rate of 2 % exceeds this once in 30 times, one of 1 % in 500


def test_outliers_are_no_steps() -> None:
    logs = noise(60, 2)
    logs[[7, 21, 22, 50]] += np.log(3)
    assert trend(np.exp(logs).tolist()).steps == ()


def test_a_drift_has_no_place() -> None:
    logs = noise(80, 3) + np.linspace(0, np.log(1.5), 80)
    found = trend(np.exp(logs).tolist())
    assert found.steps == ()
    assert found.drift == pytest.approx(1.5, abs=0.1)


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.floats(1e-3, 1e9), max_size=25), factor=st.floats(1e-6, 1e6))
def test_units_do_not_matter(values: list[float], factor: float) -> None:
    here, there = trend(values), trend([factor * value for value in values])
    assert [step.index for step in here.steps] == [step.index for step in there.steps]
    edges = [0, *(step.index for step in here.steps), len(values)]
    if here.steps:
        assert min(after - before for before, after in itertools.pairwise(edges)) >= LEAST


def test_equal_values_are_no_problem() -> None:
    assert trend([3.0] * 30).steps == ()
    (step,) = trend([3.0] * 15 + [4.0] * 15).steps
    assert (step.index, step.ratio) == (15, pytest.approx(4 / 3))
