"""Rounded channel counts are what the papers' tables have."""

from __future__ import annotations

import pytest

from groundspeed.models.blocks.width import round_channels


@pytest.mark.parametrize(
    ("wanted", "got"),
    [(4, 8), (16, 16), (18, 24), (60, 64), (72 / 4, 24), (120 / 4, 32), (11, 16), (100, 104)],
)
def test_multiples_of_eight_not_below_nine_tenths(wanted: float, got: int) -> None:
    assert round_channels(wanted) == got
