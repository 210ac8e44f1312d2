"""Numbers are printed with three digits and the right prefix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.units import bytes_text, count_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (144_907_992, "145 M"),
        (1_814_073_344, "1.81 G"),
        (999_950, "1.00 M"),
    ],
)
def test_counts(count: int, text: str) -> None:
    assert count_text(count) == text


def test_sizes() -> None:
    assert bytes_text(9_216_000) == "9.22 MB"
    assert bytes_text(12) == "12 B"


@given(st.integers(1, 10**15))
def test_what_is_printed_is_within_half_a_percent(count: int) -> None:
    number, _, prefix = count_text(count).partition(" ")
    factor = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[prefix]
    assert abs(float(number) * factor - count) <= 0.005 * count
