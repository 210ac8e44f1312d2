"""Both ways to judge pairs: how often they are wrong, and how much they see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.deploy.gate.e_process import EProcess
from groundspeed.deploy.gate.evidence import SequentialTest, least_level
from groundspeed.deploy.gate.group_sequential import GroupSequential

TESTS: list[SequentialTest] = [GroupSequential(), EProcess()]
LEVEL = 0.01
MOST = 40

each = pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
logs = st.lists(st.floats(-0.5, 0.5), min_size=0, max_size=MOST)


def bound(trials: int, level: float = LEVEL) -> float:
    """Return a share that so many trials exceed by chance once in 30,000 times."""
    return level + 4 * (level * (1 - level) / trials) ** 0.5


@each
@pytest.mark.parametrize("scatter", ["normal", "heavy tails", "outliers", "one that grows"])
def test_equal_files_are_seldom_called_slower_or_faster(test: SequentialTest, scatter: str) -> None:
    trials, generator = 1500, np.random.default_rng(1)
    noise = generator.standard_normal((trials, MOST))
    if scatter == "heavy tails":
        noise = generator.standard_t(2, (trials, MOST))
    elif scatter == "outliers":
        noise *= np.where(generator.random((trials, MOST)) < 0.05, 30, 1)
    elif scatter == "one that grows":
        noise *= np.linspace(1, 10, MOST)
    seen = [test.examine(0.03 * each, most=MOST, level=LEVEL) for each in noise]
    assert np.mean([one.low > 0 for one in seen]) <= bound(trials)
    assert np.mean([one.high < 0 for one in seen]) <= bound(trials)


@pytest.mark.parametrize(
    ("test", "deviation", "power"),
    [(GroupSequential(), 0.04, 0.95), (GroupSequential(), 0.02, 0.99), (EProcess(), 0.03, 0.95)],
)
def test_a_slowdown_of_three_percent_is_found(
    test: SequentialTest, deviation: float, power: float
) -> None:
    noise = np.random.default_rng(2).standard_normal((1000, MOST))
    pairs = math.log(1.03) + deviation * noise
    found = [test.examine(one, most=MOST, level=LEVEL).low > 0 for one in pairs]
    assert np.mean(found) >= power


@each
def test_the_smallest_change_is_found_as_often_as_it_says(test: SequentialTest) -> None:
    smallest = test.smallest(0.02, pairs=MOST, level=LEVEL)
    noise = np.random.default_rng(3).standard_normal((1000, MOST))
    found = [test.examine(one, most=MOST, level=LEVEL).low > 0 for one in smallest + 0.02 * noise]
    assert 0.92 <= np.mean(found) <= 0.99


@each
@settings(max_examples=50, deadline=None)
@given(pairs=logs, shift=st.floats(-0.3, 0.3))
def test_limits_move_with_the_pairs(test: SequentialTest, pairs: list[float], shift: float) -> None:
    here = test.examine(pairs, most=MOST, level=LEVEL)
    there = test.examine([one + shift for one in pairs], most=MOST, level=LEVEL)
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)
    assert there.high == pytest.approx(here.high + shift, abs=1e-6)


@each
@settings(max_examples=50, deadline=None)
@given(pairs=logs)
def test_swapping_the_files_mirrors_the_limits(test: SequentialTest, pairs: list[float]) -> None:
    here = test.examine(pairs, most=MOST, level=LEVEL)
    there = test.examine([-one for one in pairs], most=MOST, level=LEVEL)
    assert (there.low, there.high) == pytest.approx((-here.high, -here.low), abs=1e-6)


@each
def test_nothing_is_claimed_before_the_first_look(test: SequentialTest) -> None:
    seen = test.examine([0.1] * 4, most=MOST, level=LEVEL)
    assert seen.ends == (-math.inf, math.inf)


@each
def test_a_stricter_level_has_wider_limits(test: SequentialTest) -> None:
    pairs = 0.02 * np.random.default_rng(4).standard_normal(MOST)
    loose, strict = (test.examine(pairs, most=MOST, level=level) for level in (0.05, 0.001))
    assert strict.low < loose.low < loose.high < strict.high


@each
def test_the_least_level_is_where_a_slowdown_begins_to_show(test: SequentialTest) -> None:
    pairs = 0.02 + 0.03 * np.random.default_rng(5).standard_normal(MOST)
    level = least_level(test, pairs, 0.0, most=MOST, sign=1)
    assert 1e-6 < level < 0.1
    assert test.examine(pairs, most=MOST, level=level).low > 0
    assert test.examine(pairs, most=MOST, level=level / 1.1).low <= 0
    assert least_level(test, -pairs, 0.0, most=MOST, sign=1) == 1.0
    assert least_level(test, -pairs, 0.0, most=MOST, sign=-1) == pytest.approx(level)
