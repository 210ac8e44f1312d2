"""Samples are reached by position, in batches, and by a choice that a seed repeats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.data.samples import Asked, Data
from groundspeed.errors import DataError


def numbered(count: int) -> Data:
    return Data(name="numbers", count=count, read=lambda index: np.full((1, 2, 2), index, "f4"))


def test_samples_are_a_sequence() -> None:
    data = numbered(3)
    assert [int(sample[0, 0, 0]) for sample in data] == [0, 1, 2]
    assert (len(data), data[2].max()) == (3, 2)
    with pytest.raises(IndexError):
        data[3]


@given(count=st.integers(1, 40), size=st.integers(1, 12))
def test_batches_hold_every_sample_once_in_order_and_are_full(count: int, size: int) -> None:
    batches = list(numbered(count).batches(size))
    assert {batch.shape for batch in batches} == {(size, 1, 2, 2)}
    values = np.concatenate(batches)[:, 0, 0, 0]
    assert values[:count].tolist() == list(range(count))
    assert set(values[count:]) <= {count - 1}


@given(count=st.integers(1, 200), limit=st.integers(1, 200), seed=st.integers(0, 5))
def test_a_choice_is_repeatable_ascending_and_within_the_limit(
    count: int, limit: int, seed: int
) -> None:
    asked = Asked(spec="x", what="x", shape=(1, 3, 4, 4), limit=limit, seed=seed)
    chosen = asked.chosen(count)
    assert np.array_equal(chosen, asked.chosen(count))
    assert len(chosen) == min(count, limit)
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    assert 0 <= chosen[0] <= chosen[-1] < count


def test_a_choice_is_spread_over_all_samples() -> None:
    asked = Asked(spec="x", what="x", shape=(1, 3, 4, 4), limit=100)
    assert asked.chosen(10_000).mean() == pytest.approx(5000, abs=1000)


@pytest.mark.parametrize("shape", [(1, 5), (1, 4, 8, 8), (3, 8, 8)])
def test_images_do_not_fit_other_inputs(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"images fit only \[N, 3, H, W\]"):
        Asked(spec="x", what="x", shape=shape).image_shape  # noqa: B018
