"""The moving average follows its definition, written out as one weighted sum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundspeed.export.quantize.observers.moving_average import MovingAverage

FLOATS = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(arrays.arrays(np.float32, (2, 5), elements=FLOATS), min_size=1, max_size=8),
    st.floats(0, 0.99),
)
def test_each_batch_weighs_less_by_the_momentum_than_the_next(batches, momentum) -> None:
    observer = MovingAverage(momentum)
    for batch in batches:
        observer.observe(batch)
    ages = np.arange(len(batches))[::-1]
    weights = (1 - momentum) * momentum**ages
    weights[0] = momentum ** ages[0]
    lows = [min(0.0, float(batch.min())) for batch in batches]
    highs = [max(0.0, float(batch.max())) for batch in batches]
    assert observer.range().low == pytest.approx(weights @ lows, rel=1e-9, abs=1e-30)
    assert observer.range().high == pytest.approx(weights @ highs, rel=1e-9, abs=1e-30)


def test_one_odd_batch_hardly_widens_the_range() -> None:
    observer = MovingAverage()
    for peak in [1.0] * 20 + [11.0]:
        observer.observe(np.array([-peak, peak], np.float32))
    assert observer.range().high == pytest.approx(2.0)
    assert observer.range().low == pytest.approx(-2.0)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_a_momentum_out_of_bounds_is_refused(momentum) -> None:
    with pytest.raises(ValueError, match="momentum"):
        MovingAverage(momentum)
