"""Layers that wait for memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from device_tests.host.deploy.feedback.stage import stage
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.roofline import roofline
from groundspeed.ops import Op, OpKind

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


def vectors(op: Op) -> int:
    """Return the nanoseconds of an op on a device of 100 GFLOP/s and 10 GB/s."""
    return 1_000 + op.flops // 100 + op.memory_bytes // 10


def test_what_memory_takes_beyond_arithmetic_on_the_roofline_is_charged() -> None:
    scene = stage(network(), IMAGE, takes=vectors)
    (found,) = detect(scene, ["low intensity"])
    ((position, share),) = found.sightings[0].charges.items()
    row, roof = scene.executed[position], roofline(scene.breakdown)
    assert roof is not None
    # Under the slope of the roofline, all of the roof's time is memory's.
    slope_ns = row.op.flops / roof.roof_at(row.op.flops / row.op.memory_bytes) * 1e9
    flat_ns = row.op.flops / roof.peak_flops_per_s * 1e9
    assert 0 < share <= 1
    assert share * row.time.ns == pytest.approx(slope_ns - flat_ns)


def test_a_device_that_is_slower_at_arithmetic_than_at_memory_does_not_wait() -> None:
    (found,) = detect(stage(network(), IMAGE), ["low intensity"])
    assert set(found.sightings[0].charges.values()) == {0.0}


def test_a_slow_kernel_is_not_blamed_on_memory() -> None:
    def slow(op: Op) -> int:
        return vectors(op) * (10 if op.kind is OpKind.DEPTHWISE else 1)

    (usual,) = detect(stage(network(), IMAGE, takes=vectors), ["low intensity"])
    (slower,) = detect(stage(network(), IMAGE, takes=slow), ["low intensity"])
    assert slower.finding.attributed.time.ns == pytest.approx(
        usual.finding.attributed.time.ns, rel=0.1
    )


def test_no_other_layer_stands_for_it() -> None:
    scene = stage(network(1000), IMAGE)
    (found,) = detect(scene, ["low intensity"])
    assert found.pattern.change(scene, found.sightings) is None
    assert "int8" in found.finding.advice
