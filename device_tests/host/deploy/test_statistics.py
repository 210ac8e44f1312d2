"""Estimates over launches, against scipy and against what is known to be true in simulation."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groundspeed.deploy.plan import Settings
from groundspeed.deploy.statistics import estimate, from_samples, interval

MEDIANS = st.lists(st.floats(1e3, 1e10), min_size=3, max_size=12, unique=True)


@given(MEDIANS)
def test_the_interval_is_students_on_logarithms(medians: list[float]) -> None:
    logs = np.log(medians)
    expected = stats.t.interval(0.95, len(logs) - 1, loc=logs.mean(), scale=stats.sem(logs))
    found = interval(medians)
    assert found is not None
    assert [found.low_ns, found.high_ns] == pytest.approx(np.exp(expected), rel=1e-9)


@given(MEDIANS)
def test_the_estimate_is_the_geometric_mean_of_the_medians(medians: list[float]) -> None:
    result = from_samples([[round(m)] * 3 for m in medians])
    assert result.estimate_ns == pytest.approx(stats.gmean([round(m) for m in medians]), rel=1e-9)
    assert result.interval is not None
    assert result.interval.low_ns <= result.estimate_ns <= result.interval.high_ns


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    # Launches differ by 5 % and inferences within one are correlated through their launch: taking
    # inferences as the unit would hold the truth in a few per cent of the trials only.
    random = np.random.default_rng(7)
    trials, held, narrow = 2000, 0, 0
    for _ in range(trials):
        levels = 1e6 * np.exp(random.normal(0, 0.05, size=8))
        samples = levels[:, None] * np.exp(random.normal(0, 0.02, size=(8, 50)))
        result = from_samples(samples.astype(int).tolist())
        assert result.interval is not None
        held += result.interval.low_ns <= 1e6 <= result.interval.high_ns
        every = np.log(samples.ravel())
        low, high = stats.t.interval(0.95, every.size - 1, every.mean(), stats.sem(every))
        narrow += low <= np.log(1e6) <= high
    # Four standard errors of a share of 0.95 in 2000 trials are 0.02.
    assert abs(held / trials - 0.95) < 0.02
    assert narrow / trials < 0.5


def test_stopping_at_a_narrow_interval_costs_no_more_than_the_settings_say() -> None:
    settings, random = Settings(), np.random.default_rng(3)
    trials, held = 1500, 0
    for _ in range(trials):
        medians = np.exp(random.normal(0, 0.05, size=settings.max_rounds))
        for count in range(settings.min_rounds, settings.max_rounds + 1):
            found = interval(medians[:count].tolist())
            assert found is not None
            if found.high_ns / estimate(medians[:count].tolist()) - 1 <= settings.half_width:
                break
        held += found.low_ns <= 1 <= found.high_ns
    # Three standard errors of a share of 0.92 in 1500 trials are 0.02.
    assert abs(held / trials - 0.92) < 0.02


def test_one_launch_has_no_interval_and_two_have_a_wide_one() -> None:
    one = from_samples([[100, 110, 120]])
    assert one.interval is None
    assert one.relative_half_width is None
    assert one.estimate_ns == pytest.approx(110)
    two = from_samples([[100], [110]])
    assert two.relative_half_width is not None
    assert two.relative_half_width > 0.5


def test_percentiles_are_of_the_inferences_within_a_launch() -> None:
    # Two steady launches at very different levels: within each there is no spread to show.
    result = from_samples([[100] * 20, [100] * 20, [900] * 20])
    assert (result.p10_ns, result.p50_ns, result.p90_ns) == (100, 100, 100)
    assert result.samples == 60
    assert result.launches == 3


def test_equal_launches_have_an_interval_of_no_width() -> None:
    assert from_samples([[5, 5], [5, 5], [5, 5]]).relative_half_width == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("samples", [[], [[1], []]])
def test_nothing_measured_is_no_latency(samples: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one launch"):
        from_samples(samples)


def test_scipy_is_not_imported_until_an_interval_is_asked_for() -> None:
    code = "import sys, groundspeed.deploy.statistics; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
