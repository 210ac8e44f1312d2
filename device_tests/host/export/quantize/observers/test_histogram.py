"""The growing histogram equals one histogram of all values, made at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundspeed.errors import DataError
from groundspeed.export.quantize.observers.histogram import BINS, Histogram

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
BATCHES = st.lists(arrays.arrays(np.float32, st.integers(1, 20), elements=FLOATS), max_size=6)


def counted(batches):
    histogram = Histogram()
    for batch in batches:
        histogram.add(batch)
    return histogram


@settings(max_examples=50, deadline=None)
@given(BATCHES)
def test_batches_count_as_if_they_had_come_at_once(batches) -> None:
    histogram = counted(batches)
    values = np.concatenate([np.zeros(0), *batches])
    for side, of_side in zip(
        histogram.counts, (-values[values < 0], values[values >= 0]), strict=True
    ):
        edges = np.arange(BINS + 1) * histogram.width
        np.testing.assert_array_equal(side, np.histogram(of_side, edges)[0])


@settings(max_examples=50, deadline=None)
@given(BATCHES.flatmap(lambda batches: st.tuples(st.just(batches), st.permutations(batches))))
def test_the_order_of_batches_is_no_matter(orders) -> None:
    first, second = (counted(order) for order in orders)
    np.testing.assert_array_equal(first.counts, second.counts)
    assert (first.limit, first.seen) == (second.limit, second.seen)


@settings(max_examples=50, deadline=None)
@given(BATCHES)
def test_the_limit_is_the_least_power_of_two_above_all(batches) -> None:
    peak = max((float(np.abs(batch).max()) for batch in batches), default=0.0)
    limit = counted(batches).limit
    assert limit > peak
    assert math.log2(limit).is_integer()
    assert not peak or limit / 2 <= peak


@settings(max_examples=50, deadline=None)
@given(st.lists(FLOATS.filter(bool), min_size=1, max_size=20))
def test_a_value_is_known_up_to_one_part_in_8192_of_the_largest(values) -> None:
    histogram = counted([np.array(values, np.float32)])
    assert histogram.width <= max(abs(value) for value in values) / 8192
    middles, counts = histogram.on_line()
    known = np.repeat(middles, counts)
    np.testing.assert_allclose(known, sorted(values), rtol=0, atol=histogram.width / 2)


def test_batches_have_any_shape() -> None:
    values = np.linspace(-1, 1, 24, dtype=np.float32)
    np.testing.assert_array_equal(
        counted([values.reshape(2, 3, 4)]).counts, counted([values]).counts
    )


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_before_it_counts(odd) -> None:
    histogram = counted([np.ones(3, np.float32)])
    with pytest.raises(DataError, match="NaN or infinity"):
        histogram.add(np.array([1.0, odd], np.float32))
    assert histogram.counts.sum() == 3
