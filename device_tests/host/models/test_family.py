"""A family refuses what would make a name ambiguous or mute."""

from __future__ import annotations

import pytest
from torch import nn

from groundspeed.models.family import Family


def test_a_second_network_of_one_name_raises() -> None:
    family = Family("toys")

    def toy() -> nn.Module:
        """A toy."""
        return nn.Identity()

    family.network(toy)
    with pytest.raises(ValueError, match="'toys' already has a network 'toy'"):
        family.network(toy)


def test_a_network_without_a_summary_raises() -> None:
    def mute() -> nn.Module:
        return nn.Identity()

    with pytest.raises(ValueError, match="'mute' needs a docstring"):
        Family("toys").network(mute)


def test_whole_numbers_pass_for_a_width() -> None:
    family = Family("toys")

    @family.network
    def toy(*, width: float = 1.0) -> nn.Module:
        """A toy."""
        return nn.Linear(int(4 * width), 1)

    assert family.build("toy", width=2).in_features == 8  # type: ignore[union-attr]
