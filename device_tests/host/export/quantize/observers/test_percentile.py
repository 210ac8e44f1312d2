"""The percentile of a histogram against that of the sorted values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundspeed.export.quantize.observers.minmax import MinMax
from groundspeed.export.quantize.observers.percentile import Percentile

FLOATS = st.floats(-1000, 1000, width=32)


def found(values, clipped=1e-4, pieces=1):
    observer = Percentile(clipped)
    for piece in np.array_split(values, pieces):
        observer.observe(piece)
    return observer.range()


def exact_high(values, clipped):
    """Return the least end from zero on, above which no more than the share lies."""
    allowed = int(clipped * values.size)
    return max(0.0, float(np.sort(values.ravel())[::-1][allowed]))


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(np.float32, st.integers(1, 200), elements=FLOATS),
    st.sampled_from([0.0, 0.01, 0.1, 0.5]),
)
def test_both_ends_are_the_sorted_values_percentiles(values, clipped) -> None:
    result = found(values, clipped)
    bin_width = np.abs(values).max() / 8192
    high, low = exact_high(values, clipped), -exact_high(-values, clipped)
    assert high <= result.high <= high + bin_width
    assert low - bin_width <= result.low <= low


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_batches_is_no_matter(order) -> None:
    batches = [np.linspace(-(3.0**i), 2.0**i, 500, dtype=np.float32) for i in range(6)]
    ordered, shuffled = Percentile(0.01), Percentile(0.01)
    for position, index in enumerate(order):
        ordered.observe(batches[position])
        shuffled.observe(batches[index])
    assert ordered.range() == shuffled.range()


def test_a_rare_outlier_is_clipped_and_nothing_else() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 40_000).astype(np.float32)
    values[:2] = 50.0, -80.0
    result = found(values, pieces=4)
    assert result.high == pytest.approx(1.0, abs=0.02)
    assert result.low == pytest.approx(-1.0, abs=0.02)


def test_few_values_are_not_clipped() -> None:
    values = np.array([-3.0, 0.5, 7.0], np.float32)
    everything = MinMax()
    everything.observe(values)
    assert found(values) == everything.range()


@pytest.mark.parametrize("clipped", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_bounds_is_refused(clipped) -> None:
    with pytest.raises(ValueError, match="share"):
        Percentile(clipped)
