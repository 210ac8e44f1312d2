from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from groundspeed.deploy.report.ratio import ratio
from groundspeed.deploy.statistics import from_samples


def test_the_interval_is_welchs_on_the_logarithms() -> None:
    one, other = [3_000_000, 3_100_000, 2_950_000, 3_050_000], [2_000_000, 2_300_000, 1_900_000]
    compared = ratio(from_samples([[m] for m in one]), from_samples([[m] for m in other]))
    test = ttest_ind(np.log(one), np.log(other), equal_var=False)
    expected = np.exp(test.confidence_interval(0.95))
    assert compared.interval == pytest.approx(tuple(expected))
    assert compared.value == pytest.approx(np.exp(np.mean(np.log(one)) - np.mean(np.log(other))))


def test_the_other_way_round_is_the_inverse() -> None:
    one, other = from_samples([[30], [31]]), from_samples([[20], [22], [21]])
    there, back = ratio(one, other).interval, ratio(other, one).interval
    assert there is not None
    assert back is not None
    assert there == pytest.approx((1 / back[1], 1 / back[0]))


def test_a_single_launch_has_no_interval_and_proves_nothing() -> None:
    compared = ratio(from_samples([[900]]), from_samples([[20], [22]]))
    assert compared.interval is None
    assert not compared.is_slower


def test_equal_launches_give_a_point() -> None:
    compared = ratio(from_samples([[30], [30]]), from_samples([[20], [20]]))
    assert compared.interval == pytest.approx((1.5, 1.5))
    assert compared.is_slower
