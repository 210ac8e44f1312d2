"""What goes into a file and what comes out of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.artifact import TensorSpec
from groundspeed.ends import canonical_shape, merged, real, stored

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)


def spec(**fields: object) -> TensorSpec:
    return TensorSpec(**{"name": "x", "shape": (2, 3, 4, 5), "dtype": "float32", **fields})


def test_floats_with_channels_first_stay() -> None:
    assert np.array_equal(stored(IMAGES, spec(layout="NCHW")), IMAGES)


def test_channels_last_and_back() -> None:
    last = spec(shape=(2, 4, 5, 3), layout="NHWC")
    assert canonical_shape(last) == IMAGES.shape
    assert np.array_equal(stored(IMAGES, last), IMAGES.transpose(0, 2, 3, 1))
    assert stored(IMAGES, last).flags.c_contiguous
    assert np.array_equal(real(stored(IMAGES, last), last), IMAGES)


@given(scale=st.floats(0.03, 0.5), zero_point=st.integers(-100, 100))
def test_integers_are_off_by_half_a_step_at_most_within_their_range(
    scale: float, zero_point: int
) -> None:
    ends = spec(dtype="int8", scale=scale, zero_point=zero_point)
    integers = stored(IMAGES, ends)
    assert integers.dtype == np.int8
    low, high = scale * (-128 - zero_point), scale * (127 - zero_point)
    off = np.abs(real(integers, ends) - np.clip(IMAGES, low, high))
    assert off.max() <= scale * 0.5001


def test_unsigned_integers_saturate_too() -> None:
    ends = spec(dtype="uint8", scale=1.0, zero_point=128)
    integers = stored(IMAGES * 1000, ends)
    assert (integers.min(), integers.max()) == (0, 255)


def test_indices_stay_what_they_are() -> None:
    indices = np.array([[2**40, 3]])
    ends = spec(shape=(1, 2), dtype="int64")
    assert stored(indices, ends).tolist() == indices.tolist()
    assert real(stored(indices, ends), ends).tolist() == indices.tolist()


def test_half_precision() -> None:
    assert stored(IMAGES, spec(dtype="float16")).dtype == np.float16


def test_the_manifest_brings_order_and_layout_and_the_file_its_scale() -> None:
    opened = (spec(name="a", scale=0.5, zero_point=1, dtype="int8"), spec(name="b"))
    known = (spec(name="b", layout="NHWC", scale=0.1, zero_point=2), spec(name="a", scale=9.0))
    first, second = merged(opened, known)
    assert (first.name, first.layout, first.scale) == ("b", "NHWC", 0.1)
    assert (second.name, second.scale, second.dtype) == ("a", 0.5, "int8")


@pytest.mark.parametrize("known", [(), (spec(name="other"),)])
def test_a_bare_file_speaks_for_itself(known: tuple[TensorSpec, ...]) -> None:
    opened = (spec(),)
    assert merged(opened, known) == opened
