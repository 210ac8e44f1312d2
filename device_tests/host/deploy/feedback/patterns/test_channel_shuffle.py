"""Shuffles in every spelling, as runtimes execute them, and what is left without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from device_tests.host.deploy.feedback.splice import inserted
from device_tests.host.deploy.feedback.stage import stage, takes
from groundspeed.deploy.feedback.detect import Detected, detect
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import OpKind

IMAGE = torch.randn(1, 12, 8, 8)


def by_view(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 3, c // 3, h, w).transpose(1, 2).reshape(n, c, h, w)


def by_permute(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, 3, c // 3, h, w).permute(0, 2, 1, 3, 4).flatten(1, 2)


def by_gather(x: Tensor) -> Tensor:
    return x[:, torch.arange(12).view(3, 4).t().flatten()]


def swapped_sides(x: Tensor) -> Tensor:
    return x.transpose(2, 3).contiguous()


class Network(nn.Module):
    def __init__(self, move: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.move = move
        self.first, self.second = nn.Conv2d(12, 12, 1), nn.Conv2d(12, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        moved: Tensor = self.second(self.move(self.first(x)))
        return moved


def found(scene: Scene) -> Detected:
    (one,) = detect(scene, ["channel shuffle"])
    return one


@pytest.mark.parametrize("move", [by_view, by_permute, by_gather, nn.ChannelShuffle(3)])
def test_every_spelling_is_found_once(move: Callable[[Tensor], Tensor]) -> None:
    (place,) = found(stage(Network(move), IMAGE)).finding.places
    assert place.what == "12 channels in 3 groups"


def test_another_transpose_is_no_shuffle() -> None:
    assert detect(stage(Network(swapped_sides), IMAGE), ["channel shuffle"]) == ()


def test_a_shuffle_costs_the_time_of_its_ops() -> None:
    scene = stage(Network(by_view), IMAGE)
    moves = [op for op in scene.manifest.ops if op.kind is OpKind.DATA_MOVEMENT]
    alone = sum(takes(op) for op in moves if op.memory_bytes)
    assert found(scene).finding.attributed.time.ns == pytest.approx(alone)


def test_a_transpose_that_is_tied_to_nothing_belongs_to_the_shuffle_around_it() -> None:
    plain = stage(Network(by_view), IMAGE, takes=lambda op: 1_000)
    executed = [row.op.covers[0].name for row in plain.executed if row.op.covers]
    inside = [name for name in executed if "transpose" in name or "view" in name]
    more = inserted(plain, inside[0], "Transpose (ND, X32)", 10_000)
    before, after = found(plain).finding.attributed, found(more).finding.attributed
    expected = 10_000 if len(inside) > 1 else 0
    assert after.time.ns - before.time.ns == pytest.approx(expected)


def test_conversions_that_stand_for_the_shuffle_alone_are_charged_to_it() -> None:
    plain = stage(Network(by_view), IMAGE)
    one_side = inserted(plain, "conv2d", "ReorderOutput", 5_000)
    both_sides = inserted(one_side, "transpose", "ReorderInput", 7_000)
    first, second, third = (
        found(scene).finding.attributed.time.ns for scene in (plain, one_side, both_sides)
    )
    assert second == pytest.approx(first)
    assert third == pytest.approx(first + 12_000)


def test_the_network_without_its_shuffles_hands_the_map_on() -> None:
    network = Network(by_view)
    scene = stage(network, IMAGE)
    one = found(scene)
    changed = one.pattern.change(scene, one.sightings)
    assert changed is not None
    assert changed.before is None
    network.move = nn.Identity()
    torch.testing.assert_close(changed.after.module(IMAGE), network(IMAGE))


def test_a_shuffle_behind_a_shuffle_goes_as_well() -> None:
    network = Network(nn.Sequential(nn.ChannelShuffle(3), nn.ChannelShuffle(2)))
    scene = stage(network, IMAGE)
    one = found(scene)
    assert len(one.sightings) == 2
    changed = one.pattern.change(scene, one.sightings)
    assert changed is not None
    network.move = nn.Identity()
    torch.testing.assert_close(changed.after.module(IMAGE), network(IMAGE))


class Halves(nn.Module):
    """A shuffle between a join and a split."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(12, 6, 1), nn.Conv2d(12, 6, 1)
        self.third = nn.Conv2d(first, 12, 1)
        self.sizes = [first, 12 - first]

    def forward(self, x: Tensor) -> Tensor:
        one, other = by_view(torch.cat([self.first(x), self.second(x)], 1)).split(self.sizes, 1)
        thirds: Tensor = self.third(one)
        return torch.cat([thirds, other], 1)


@pytest.mark.parametrize(
    ("first", "format", "freed"), [(6, "tflite", 3), (6, "onnx", 0), (4, "tflite", 0)]
)
def test_a_join_and_a_split_that_undo_each_other_go_with_it_in_tflite(
    first: int, format: str, freed: int
) -> None:
    plain = stage(Halves(first), IMAGE, takes=lambda op: 1_000)
    scene = replace(plain, manifest=replace(plain.manifest, format=format))
    (sighting,) = found(scene).sightings
    alone = [scene.executed[position].op.covers[0].name for position in sighting.charges]
    assert len([name for name in alone if name.startswith(("cat", "getitem"))]) == freed
