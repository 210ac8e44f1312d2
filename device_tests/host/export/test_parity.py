"""The metrics are what their names say, and nothing wrong passes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from groundspeed.export.parity import TOLERANCES, agreement, check_inputs, passes

maps = arrays(np.float32, (2, 3, 4), elements=st.floats(-100, 100, width=32))


@given(maps, maps)
def test_the_metrics_by_their_definitions(reference: np.ndarray, value: np.ndarray) -> None:
    found = agreement("y", [reference], [value])
    wide_r, wide_v = reference.astype(np.float64).ravel(), value.astype(np.float64).ravel()
    worst = max(abs(a - b) for a, b in zip(wide_r, wide_v, strict=True))
    assert found.max_absolute == worst
    peak = max(abs(wide_r))
    if peak > 0 and worst > 0:
        assert found.max_relative == pytest.approx(worst / peak)
    lengths = math.sqrt(sum(wide_r**2) * sum(wide_v**2))
    if lengths > 1e-12:
        assert found.cosine == pytest.approx(sum(wide_r * wide_v) / lengths, abs=1e-9)
    mean_square = sum((wide_v - wide_r) ** 2) / wide_r.size
    span = max(wide_r) - min(wide_r)
    if mean_square > 1e-20 and span > 0:
        assert found.psnr_db == pytest.approx(10 * math.log10(span**2 / mean_square))


@given(maps)
def test_a_thing_agrees_with_itself(value: np.ndarray) -> None:
    found = agreement("y", [value], [value])
    assert (found.max_absolute, found.max_relative) == (0, 0)
    assert found.psnr_db == math.inf
    assert found.cosine == pytest.approx(1)
    assert all(passes(found, tolerance) for tolerance in TOLERANCES.values())


def test_top1_counts_the_samples_with_the_same_class() -> None:
    reference = np.array([[0.1, 0.9], [0.8, 0.2]])
    half_wrong = np.array([[0.2, 0.8], [0.3, 0.7]])
    assert agreement("y", [reference], [half_wrong]).top1 == 0.5
    assert agreement("y", [np.zeros((1, 2, 3))], [np.zeros((1, 2, 3))]).top1 is None


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_passes(poison: float) -> None:
    value = np.array([[1.0, poison]])
    assert not passes(agreement("y", [np.ones((1, 2))], [value]), TOLERANCES["fp16"])


def test_the_worst_of_all_inputs_decides() -> None:
    good, bad = np.ones((1, 2)), np.array([[1.0, 2.0]])
    assert agreement("y", [good, good], [good, bad]).max_relative == 1


def test_the_inputs_to_check_on_differ_and_are_reproducible() -> None:
    given_one = (torch.zeros(1, 3, 16, 16),)
    first, again = check_inputs(given_one), check_inputs(given_one)
    assert len(first) >= 4
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert len({float(sample[0].sum()) for sample in first}) == len(first)
    assert all(sample[0].shape == given_one[0].shape for sample in first)


def test_indices_are_kept_as_given() -> None:
    words = torch.tensor([[3, 1, 2]])
    assert all(torch.equal(sample[0], words) for sample in check_inputs((words,)))
