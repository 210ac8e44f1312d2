"""Scales and zero points: what the integers that they give stand for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundspeed.quantization import LEAST_SCALE, Range, quantized, sqnr_db, weight_scales

MAGNITUDES = st.floats(0, 1e6, width=32)
RANGES = st.builds(lambda low, high: Range(low=-low, high=high), MAGNITUDES, MAGNITUDES)


@given(RANGES, st.sampled_from([(-128, 127), (0, 255)]))
def test_zero_has_an_integer_and_the_ends_are_within_a_step(found, integers) -> None:
    scale, zero_point = found.asymmetric(*integers)
    assert integers[0] <= zero_point <= integers[1]
    if not found.is_constant:
        assert (integers[0] - zero_point) * scale <= found.low + scale * (0.5 + 1e-9)
        assert (integers[1] - zero_point) * scale >= found.high - scale * (0.5 + 1e-9)


@given(RANGES)
def test_a_symmetric_scale_reaches_the_larger_end_only(found) -> None:
    peak = max(-found.low, found.high)
    if peak / 127 > LEAST_SCALE:
        assert found.symmetric() * 127 == pytest.approx(peak)


def test_a_tensor_of_zeros_has_a_scale_that_divides() -> None:
    zeros = Range(low=0.0, high=0.0)
    assert zeros.symmetric() == 1.0
    assert zeros.asymmetric(0, 255) == (1.0, 0)
    assert Range(low=0.0, high=1e-44).asymmetric(0, 255)[0] >= LEAST_SCALE


@pytest.mark.parametrize("ends", [(1.0, 2.0), (-2.0, -1.0), (0.0, math.inf), (math.nan, 0.0)])
def test_a_range_without_zero_or_end_is_refused(ends) -> None:
    with pytest.raises(ValueError, match="no finite range"):
        Range(low=ends[0], high=ends[1])


WEIGHTS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=4, max_side=4),
    elements=st.floats(-8, 8, width=32),
)


@given(WEIGHTS, st.booleans())
def test_no_weight_is_off_by_more_than_half_a_step(weight, per_channel) -> None:
    scales = weight_scales(weight, per_channel=per_channel)
    steps = scales.reshape(-1, *[1] * (weight.ndim - 1))
    integers = quantized(weight, steps)
    assert np.abs(integers).max(initial=0) <= 127
    assert np.all(np.abs(integers * steps.astype(float) - weight) <= steps * (0.5 + 1e-5))
    if not per_channel:
        assert len(set(scales[np.any(weight.reshape(len(weight), -1), axis=1)].tolist())) <= 1


def test_decibels_of_sums_of_squares() -> None:
    assert sqnr_db(100.0, 1.0) == pytest.approx(20.0)
    assert sqnr_db(1.0, 0.0) == math.inf
    assert sqnr_db(0.0, 1.0) == -math.inf
