"""Layers that wait for memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from device_tests.host.deploy.feedback.stage import stage
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.roofline import roofline

IMAGE = torch.zeros(1, 3, 32, 32)


def network(classes: int = 10) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=1, groups=64),
        nn.Conv2d(64, 64, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


@pytest.mark.parametrize(("classes", "modules"), [(10, ["1"]), (1000, ["1", "5"])])
def test_few_flops_for_many_bytes_are_found(classes: int, modules: list[str]) -> None:
    (found,) = detect(stage(network(classes), IMAGE), ["low intensity"])
    assert [place.module for place in found.finding.places] == modules


def test_small_maps_stay_in_the_cache() -> None:
    small = stage(network()[1], torch.zeros(1, 64, 8, 8))
    assert detect(small, ["low intensity"]) == ()


def test_the_time_beyond_the_best_arithmetic_rate_is_charged() -> None:
    scene = stage(network(), IMAGE)
    (found,) = detect(scene, ["low intensity"])
    ((position, share),) = found.sightings[0].charges.items()
    row, roof = scene.executed[position], roofline(scene.breakdown)
    assert roof is not None
    at_the_roof_ns = row.op.flops / roof.peak_flops_per_s * 1e9
    assert share * row.time.ns == pytest.approx(row.time.ns - at_the_roof_ns)


def test_dense_layers_of_the_same_macs_stand_in_for_depthwise_ones_alone() -> None:
    scene = stage(network(1000), IMAGE)
    (found,) = detect(scene, ["low intensity"])
    changed = found.pattern.change(scene, found.sightings)
    assert changed is not None
    assert changed.taken == found.sightings[:1]
    assert "(+0.0% MACs)" in changed.what
    assert changed.before is not None
    for side, channels in ((changed.before, 64), (changed.after, 8)):
        (made,) = side.module(*side.inputs)
        assert made.shape == (1, channels, 32, 32)


def test_linear_layers_alone_have_nothing_to_stand_in_for_them() -> None:
    scene = stage(nn.Linear(512, 512), torch.zeros(1, 512))
    (found,) = detect(scene, ["low intensity"])
    assert found.pattern.change(scene, found.sightings) is None
