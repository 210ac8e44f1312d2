"""Numbers of channels that leave vectors half empty."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from device_tests.host.deploy.feedback.stage import stage, takes
from groundspeed.deploy.feedback.convolutions import Convolution
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.patterns.channel_alignment import rounded
from groundspeed.ops import Op


def network(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=1, groups=64),
        nn.Conv2d(64, channels, 1),
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
        nn.Conv2d(channels, 64, 1),
    )


IMAGE = torch.zeros(1, 3, 16, 16)


def test_aligned_channels_and_the_channels_of_an_image_are_fine() -> None:
    assert detect(stage(network(64), IMAGE), ["channel alignment"]) == ()


def test_every_layer_beside_odd_channels_is_found() -> None:
    (found,) = detect(stage(network(58), IMAGE), ["channel alignment"])
    assert [place.module for place in found.finding.places] == ["2", "3", "4"]


def test_a_layer_is_charged_by_what_aligned_ones_of_its_sort_would_take() -> None:
    def slow(op: Op) -> int:
        # As much slower for each channel as was measured in ncnn.
        return takes(op) * 4 if op.name == "conv2d_3" else takes(op)

    scene = stage(network(58), IMAGE, takes=slow)
    (found,) = detect(scene, ["channel alignment"])
    charges = {one.place.module: next(iter(one.charges.values())) for one in found.sightings}
    assert charges["3"] == pytest.approx(0.75, abs=0.05)


def test_without_an_aligned_layer_of_its_sort_the_empty_places_are_charged() -> None:
    scene = stage(nn.Conv2d(12, 12, 3, padding=1), torch.zeros(1, 12, 8, 8))
    (found,) = detect(scene, ["channel alignment"])
    ((share,),) = [tuple(one.charges.values()) for one in found.sightings]
    assert share == pytest.approx(1 - (12 / 16) ** 2)


def test_layers_with_channels_rounded_up_stand_beside_the_found_ones() -> None:
    scene = stage(network(58), IMAGE)
    (found,) = detect(scene, ["channel alignment"])
    changed = found.pattern.change(scene, found.sightings)
    assert changed is not None
    assert changed.before is not None
    before, after = (
        [each.shape[1] for each in side.inputs] for side in (changed.before, changed.after)
    )
    assert (before, after) == ([64, 58, 58], [64, 64, 64])
    for side in (changed.before, changed.after):
        assert len(side.module(*side.inputs)) == 3


@given(
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 70),
    groups=st.integers(1, 6),
    depthwise=st.booleans(),
)
def test_rounding_never_takes_channels_away_and_is_done_once(
    inputs: int, outputs: int, groups: int, depthwise: bool
) -> None:
    inputs, outputs = inputs * groups, outputs * groups
    if depthwise:
        groups, outputs = inputs, inputs * (1 + outputs % 2)
    one = Convolution(
        inputs=inputs, outputs=outputs, groups=groups, kernel=(3, 3), size=(4, 4), batch=1
    )
    more = rounded(one)
    assert rounded(more) == more
    assert more.macs >= one.macs
    more.module(more.inputs, more.outputs, more.groups)  # else torch refuses
