"""Slices, joins and transposes of the network itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from device_tests.host.deploy.feedback.splice import called, inserted
from device_tests.host.deploy.feedback.stage import stage
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.patterns.pattern import Change
from groundspeed.deploy.feedback.scene import Scene

IMAGE = torch.randn(1, 8, 6, 6)
CLEAN = nn.Conv2d(8, 8, 1)


class Network(nn.Module):
    def __init__(self, move: Callable[[Tensor], Tensor], channels: int = 8) -> None:
        super().__init__()
        self.move = move
        self.first, self.second = nn.Conv2d(8, 8, 1), nn.Conv2d(channels, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        moved: Tensor = self.second(self.move(self.first(x)))
        return moved


def split_and_joined(x: Tensor) -> Tensor:
    one, other = x.chunk(2, 1)
    return torch.cat([one, torch.relu(other)], 1)


def turned_twice(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).contiguous()


def swapped_halves(x: Tensor) -> Tensor:
    return torch.cat([x[:, 4:], x[:, :4]], 1)


def words(scene: Scene) -> list[str]:
    return [
        place.what.partition(" ")[0]
        for one in detect(scene, ["data movement"])
        for place in one.finding.places
    ]


def change(scene: Scene) -> Change:
    (one,) = detect(scene, ["data movement"])
    changed = one.pattern.change(scene, one.sightings)
    assert changed is not None
    return changed


@pytest.mark.parametrize(
    ("move", "channels", "seen"),
    [
        (nn.Identity(), 8, set()),
        (nn.Sequential(nn.ChannelShuffle(2)), 8, set()),
        (split_and_joined, 8, {"chunk", "cat"}),
        (lambda x: x[:, 2:6], 4, {"slice"}),
        (lambda x: nn.functional.pad(x, (1, 1, 1, 1)), 8, {"pad", "constant_pad_nd"}),
        (lambda x: torch.cat([x, x], 1), 16, {"cat"}),
    ],
)
def test_what_moves_is_found_and_shuffles_are_not(
    move: Callable[[Tensor], Tensor], channels: int, seen: set[str]
) -> None:
    found = set(words(stage(Network(move, channels), IMAGE)))
    assert found <= seen
    assert bool(found) == bool(seen)


def test_what_only_renames_dimensions_costs_nothing() -> None:
    scene = stage(Network(lambda x: torch.cat([x, x], 1), 16), IMAGE)
    renamed = called(scene, lambda op: "Reshape" if op.name.startswith("cat") else None)
    assert words(scene) == ["cat"]
    assert words(renamed) == []


def test_a_conversion_on_both_sides_of_a_round_trip_goes_with_it() -> None:
    plain = stage(Network(lambda x: x.transpose(2, 3).contiguous()), IMAGE)
    one_side = inserted(plain, "conv2d", "ReorderOutput", 5_000)
    both_sides = inserted(one_side, "transpose", "ReorderInput", 7_000)
    costs = [
        found.finding.attributed.time.ns
        for scene in (plain, one_side, both_sides)
        for found in detect(scene, ["data movement"])
    ]
    assert costs[1] == pytest.approx(costs[0])
    assert costs[2] == pytest.approx(costs[0] + 12_000)


@pytest.mark.parametrize("move", [turned_twice, swapped_halves, lambda x: x.roll(1, 2)])
def test_a_round_trip_is_taken_out_of_the_network(move: Callable[[Tensor], Tensor]) -> None:
    network = Network(move)
    changed = change(stage(network, IMAGE))
    assert changed.before is None
    network.move = nn.Identity()
    torch.testing.assert_close(changed.after.module(IMAGE), network(IMAGE))
    graph = str(changed.after.module.graph)
    assert not any(word in graph for word in ("permute", "cat", "slice", "roll"))


def test_what_cannot_be_taken_out_is_measured_apart_on_maps_made_alike() -> None:
    changed = change(stage(Network(split_and_joined), IMAGE))
    assert changed.before is not None
    before, after = changed.before, changed.after
    sizes = [each.shape for each in before.inputs]
    assert sizes == [each.shape for each in after.inputs]
    # The whole that is split, the half that the ReLU gives.
    makers = zip(after.module.makers, after.inputs, strict=True)
    assert [maker(each).shape for maker, each in makers] == [(1, 8, 6, 6), (1, 4, 6, 6)]
    assert [each.shape for each in after.module(*after.inputs)] == [(1, 8, 1, 1), (1, 4, 1, 1)]
    # The half that the ReLU reads, and the whole that is joined.
    assert [each.shape for each in before.module(*before.inputs)] == [(1, 4, 1, 1), (1, 8, 1, 1)]


def test_the_ops_that_are_measured_apart_move_what_they_moved() -> None:
    changed = change(stage(Network(lambda x: torch.cat([x, x[:, :4]], 1), 12), IMAGE))
    assert changed.before is not None
    module, (read,) = changed.before.module, changed.before.inputs
    (joined,) = (each for each in module(read) if each.shape[1] == 12)
    (maker,) = module.makers
    whole = torch.cat([maker(read), maker(read)[:, :4]], 1)
    torch.testing.assert_close(joined, torch.nn.functional.max_pool2d(whole, 2, stride=6))


def test_vectors_are_moved_apart_as_they_are() -> None:
    network = Network(lambda x: x)
    network.second = nn.Sequential(nn.Flatten(), Halves(), nn.Linear(288, 8))
    changed = change(stage(network, IMAGE))
    assert changed.before is not None
    assert {each.shape for each in changed.before.inputs} >= {(1, 144)}
    assert changed.before.module(*changed.before.inputs)[-1].shape == (1, 288)


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, 144:].tanh(), x[:, :144].sigmoid()], 1)
