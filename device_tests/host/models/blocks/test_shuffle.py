"""The channel shuffle is the paper's."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.models.blocks.shuffle import channel_shuffle


def test_eight_channels_in_two_groups() -> None:
    x = torch.arange(8.0).view(1, 8, 1, 1)
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))
def test_it_equals_torchs_and_is_undone_by_the_inverse(
    batch: int, groups: int, channels_in_group: int, size: int
) -> None:
    x = torch.rand(batch, groups * channels_in_group, size, size + 1)
    shuffled = channel_shuffle(x, groups)
    assert torch.equal(shuffled, torch.channel_shuffle(x, groups))
    assert torch.equal(channel_shuffle(shuffled, channels_in_group), x)
