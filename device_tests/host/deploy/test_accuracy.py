"""Counts and ratios against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.deploy.accuracy import Noise, Proportion, Tally, class_scores
from groundspeed.errors import InputError

Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


@settings(deadline=None)  # the first call imports the statistics of scipy
@given(total=st.integers(1, 20_000), share=st.floats(0, 1))
def test_the_interval_is_wilsons(total: int, share: float) -> None:
    count = round(share * total)
    found = Proportion.of(count, total)
    p = count / total
    center = (p + Z**2 / (2 * total)) / (1 + Z**2 / total)
    reach = Z * math.sqrt(p * (1 - p) / total + Z**2 / (4 * total**2)) / (1 + Z**2 / total)
    assert found.value == p
    assert found.low == pytest.approx(max(0, center - reach), abs=1e-9)
    assert found.high == pytest.approx(min(1, center + reach), abs=1e-9)


def test_noise_is_the_ratio_of_powers_in_decibels() -> None:
    random = np.random.default_rng(0)
    signal, difference = random.standard_normal((2, 500))
    noise = Noise()
    for piece in (slice(0, 100), slice(100, None)):
        noise.add(signal[piece], signal[piece] + 0.1 * difference[piece])
    expected = 10 * np.log10((signal**2).sum() / (0.01 * difference**2).sum())
    assert noise.sqnr_db == pytest.approx(expected)


def test_noise_at_its_ends() -> None:
    equal, silent = Noise(), Noise()
    equal.add(np.ones(3), np.ones(3))
    silent.add(np.zeros(3), np.ones(3))
    assert (equal.sqnr_db, silent.sqnr_db) == (math.inf, -math.inf)


def test_a_tally_counts_as_one_would_by_hand() -> None:
    labels = np.array([0, 1, 2, 3])
    expected = np.eye(7, dtype=np.float32)[[0, 1, 6, 6]]  # right on the first two
    outputs = np.eye(7, dtype=np.float32)[[0, 6, 2, 5]]  # right on the first and the third
    outputs[3] = [5, 4, 3, 2, 1, 6, 0]  # the class 3 is the fifth best
    tally = Tally()
    tally.add([outputs[:3]], [expected[:3]], labels[:3])
    tally.add([outputs[3:]], [expected[3:]], labels[3:])
    assert tally.top1 is not None
    assert tally.top5 is not None
    assert tally.agreement is not None
    assert (tally.top1.count, tally.top1.total) == (2, 4)
    assert tally.agreement.count == 1
    assert (tally.lost, tally.gained) == (1, 1)
    # Of the second sample all classes but one have the same score, so that none is above its own
    # but that one.
    assert tally.top5.count == 4


@settings(deadline=None)
@given(seed=st.integers(0, 100))
def test_top_5_is_membership_in_the_five_highest(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.standard_normal((20, 9)).astype(np.float32)
    labels = random.integers(0, 9, 20)
    tally = Tally()
    tally.add([scores], None, labels)
    best = np.argsort(-scores, axis=1)[:, :5]
    assert tally.top5 is not None
    assert tally.top5.count == sum(label in row for label, row in zip(labels, best, strict=True))


def test_a_vector_of_nan_free_equal_scores_is_no_full_marks() -> None:
    tally = Tally()
    tally.add([np.zeros((10, 4), np.float32)], None, np.arange(10) % 4)
    assert tally.top1 is not None
    assert tally.top1.value == pytest.approx(0.3)
    assert tally.top5 is None, "four classes have no best five"


@pytest.mark.parametrize(
    ("shape", "classes"),
    [((2, 7), 7), ((2, 7, 1, 1), 7), ((2, 1), 0), ((2, 7, 3, 3), 0), ((2,), 0)],
)
def test_class_scores_are_a_vector_for_each_sample(shape: tuple[int, ...], classes: int) -> None:
    scores = class_scores([np.zeros(shape, np.float32)])
    assert (0 if scores is None else scores.shape[1]) == classes


def test_outputs_of_another_size_are_not_compared() -> None:
    with pytest.raises(InputError, match=r"\[2, 5\] and the reference's \[2, 4\]"):
        Tally().add([np.zeros((2, 5), "f4")], [np.zeros((2, 4), "f4")], None)
