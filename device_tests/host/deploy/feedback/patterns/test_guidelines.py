"""The patterns of the four guidelines, on networks that have them and on twins that do not."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from device_tests.host.deploy.feedback.splice import inserted
from device_tests.host.deploy.feedback.stage import stage, takes
from groundspeed.deploy.feedback.convolutions import Apart, convolutions, reference_rate
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.patterns.catalog import PATTERNS
from groundspeed.deploy.feedback.patterns.group_convolution import dense
from groundspeed.deploy.feedback.patterns.pattern import Change
from groundspeed.deploy.feedback.patterns.unbalanced_widths import balanced
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import Op, OpKind

IMAGE = torch.zeros(1, 3, 32, 32)
FUSED = frozenset({OpKind.ACTIVATION})


def conv(inputs: int, outputs: int, kernel: int = 1, **others: int) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **others)
    return nn.Sequential(layer, nn.ReLU())


class Residual(nn.Module):
    def __init__(self, inside: nn.Module, projection: nn.Module | None = None) -> None:
        super().__init__()
        self.inside, self.projection = inside, projection or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inside(x) + self.projection(x)


class Branches(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Gated(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 8, 1), nn.Conv2d(8, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed = torch.nn.functional.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(torch.relu(self.down(squeezed))))


def network(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv(3, 32, 3), *layers, conv(32, 32))


def modules(scene: Scene, pattern: str) -> list[str]:
    """Return the modules where a pattern is found."""
    return [place.module for found in detect(scene, [pattern]) for place in found.finding.places]


def change(scene: Scene, pattern: str) -> Change | None:
    (found,) = detect(scene, [pattern])
    return found.pattern.change(scene, found.sightings)


def outputs(changed: Change) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that the network without the pattern computes: it runs, then."""
    made = changed.after.module(*changed.after.inputs)
    return tuple(tuple(each.shape) for each in (made if isinstance(made, tuple) else (made,)))


def macs(module: nn.Module, *inputs: torch.Tensor) -> int:
    """Return the multiply-accumulates of a module's convolutions, counted while it runs."""
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", tuple(PATTERNS))
def test_a_clean_network_has_no_pattern_that_costs_anything_notable(name: str) -> None:
    scene = stage(network(conv(32, 32, 3), conv(32, 32, 3)), IMAGE, fused=FUSED)
    assert all(one.finding.attributed.share <= 0.03 for one in detect(scene, [name]))


def test_activations_count_where_they_are_not_fused() -> None:
    layers = network(conv(32, 32, 3))
    assert modules(stage(layers, IMAGE), "activation") == ["0.1", "1.1", "2.1"]
    assert modules(stage(layers, IMAGE, fused=FUSED), "activation") == []


def test_what_an_activation_costs_is_the_time_of_its_ops() -> None:
    scene = stage(network(), IMAGE)
    (found,) = detect(scene, ["activation"])
    alone = sum(takes(op) for op in scene.manifest.ops if op.kind is OpKind.ACTIVATION)
    assert found.finding.attributed.time.ns == pytest.approx(alone)
    assert found.finding.attributed.share == pytest.approx(alone / scene.profile.plain_ns[0])


def test_a_network_without_its_activations_is_linear() -> None:
    changed = change(stage(network(conv(32, 32)), IMAGE), "activation")
    assert changed is not None
    assert changed.before is None
    run = changed.after.module
    x, y = torch.randn(2, *IMAGE.shape)
    zero = run(torch.zeros_like(x))
    sum_of_both = run(x) - zero + run(y) - zero
    torch.testing.assert_close(run(x + y) - zero, sum_of_both, rtol=1e-3, atol=1e-4)


def test_widths_are_unbalanced_from_one_to_four() -> None:
    layers = network(conv(32, 128), conv(128, 64), conv(64, 32))
    assert modules(stage(layers, IMAGE, fused=FUSED), "unbalanced widths") == ["1.0"]


@pytest.mark.parametrize(("inputs", "outputs"), [(24, 144), (16, 96), (9, 108), (8, 256), (3, 40)])
def test_balanced_widths_have_nearly_the_same_macs(inputs: int, outputs: int) -> None:
    one, other = balanced(inputs, outputs)
    assert one <= other <= 1.5 * one
    assert one * other == pytest.approx(inputs * outputs, rel=0.15)


def test_groups_are_found_and_depthwise_convolutions_are_not() -> None:
    layers = network(conv(32, 64, groups=4), conv(64, 64, 3, groups=64), conv(64, 32))
    scene = stage(layers, IMAGE, fused=FUSED)
    assert modules(scene, "group convolution") == ["1.0"]
    changed = change(scene, "group convolution")
    assert changed is not None
    assert changed.before is not None
    assert outputs(changed) == ((1, 16, 1, 1),)  # of each channel a corner


@pytest.mark.parametrize("groups", [2, 3, 4, 8])
def test_a_dense_convolution_in_place_of_groups_has_nearly_their_macs(groups: int) -> None:
    scene = stage(nn.Conv2d(240, 240, 1, groups=groups), torch.zeros(1, 240, 8, 8))
    ((_, one),) = convolutions(scene)
    inputs, outputs = dense(one)
    # Widths in steps of eight come no nearer than that to 7,200 (80 and 88).
    assert inputs * outputs == pytest.approx(240 * 240 / groups, rel=0.03)
    assert inputs % 8 == outputs % 8 == 0
    assert outputs == pytest.approx(inputs, rel=0.15)


def test_slow_groups_are_blamed_for_what_they_take_beyond_a_good_convolution() -> None:
    def slow(op: Op) -> int:
        return takes(op) * (4 if op.kind is OpKind.GROUP else 1)

    layers = network(conv(32, 32, 3), conv(32, 32, 3, groups=4))
    (even,) = detect(stage(layers, IMAGE, fused=FUSED), ["group convolution"])
    (found,) = detect(stage(layers, IMAGE, fused=FUSED, takes=slow), ["group convolution"])
    assert found.finding.attributed.share > even.finding.attributed.share
    assert found.finding.attributed.share > 0.3


def test_without_a_good_convolution_the_slow_half_is_held_against_the_others() -> None:
    def slow_back(op: Op) -> int:
        return takes(op) * (3 if op.module == "4" else 1)

    widths = [(8, 64), (64, 8)] * 3
    layers = nn.Sequential(*(nn.Conv2d(*each, 1) for each in widths[:5]))
    image = torch.zeros(1, 8, 32, 32)
    assert reference_rate(stage(nn.Conv2d(8, 8, 3, groups=8), image)) is None
    (even,) = detect(stage(layers, image), ["unbalanced widths"])
    (found,) = detect(stage(layers, image, takes=slow_back), ["unbalanced widths"])
    assert even.finding.attributed.share < 0.03
    slow, *others = sorted(found.sightings, key=lambda one: -max(one.charges.values()))
    assert slow.place.module == "4"
    assert max(slow.charges.values()) == pytest.approx(2 / 3, abs=0.03)
    assert max(value for one in others for value in one.charges.values()) < 0.03


def test_branches_with_convolutions_are_parallel() -> None:
    scene = stage(network(Branches(conv(32, 16), conv(32, 16, 3))), IMAGE, fused=FUSED)
    assert modules(scene, "parallel branches") == ["1"]
    changed = change(scene, "parallel branches")
    assert changed is not None
    assert changed.before is not None
    before = changed.before.module(*changed.before.inputs)
    assert [tuple(each.shape) for each in before] == [(1, 32, 1, 1)]
    # 16 outputs of 10 weights each for a channel are 18 of 9.
    assert outputs(changed) == ((1, 18, 1, 1),)


def test_one_branch_has_the_activation_of_the_branches() -> None:
    def smallest(*branches: nn.Module) -> float:
        scene = stage(network(Branches(*branches)), IMAGE, fused=FUSED)
        changed = change(scene, "parallel branches")
        assert changed is not None
        assert isinstance(changed.after.module, Apart)
        (part,) = changed.after.module.parts
        return float(part(*changed.after.inputs).detach().min())

    assert smallest(conv(32, 16), conv(32, 16, 3)) == 0.0
    assert smallest(nn.Conv2d(32, 16, 1), nn.Conv2d(32, 16, 3, padding=1)) < 0.0


def test_branches_are_held_against_the_widest_of_them_where_that_is_fast() -> None:
    def fast_windows(op: Op) -> int:
        return takes(op) // (3 if op.module.startswith("1.branches.1") else 1)

    layers = network(Branches(conv(32, 16), conv(32, 16, 3)))
    (even,) = detect(stage(layers, IMAGE, fused=FUSED), ["parallel branches"])
    found = detect(stage(layers, IMAGE, fused=FUSED, takes=fast_windows), ["parallel branches"])
    assert max(even.sightings[0].charges.values()) == 1.0  # the join
    ((sighting,),) = [one.sightings for one in found]
    assert sorted(sighting.charges.values()) == pytest.approx([0.0, 2 / 3, 1.0], abs=0.05)


def test_deep_branches_become_two_layers_that_give_the_same_map() -> None:
    deep = nn.Sequential(conv(32, 16), conv(16, 16, 3, stride=2))
    scene = stage(network(Branches(deep, conv(32, 16, 3, stride=2))), IMAGE, fused=FUSED)
    changed = change(scene, "parallel branches")
    assert changed is not None
    assert changed.before is not None
    before = changed.before.module(*changed.before.inputs)
    assert [tuple(each.shape) for each in before] == list(outputs(changed)) == [(1, 32, 1, 1)]


@pytest.mark.parametrize(("size", "stride", "padding"), [(7, 2, 1), (15, 2, 1), (13, 1, 0)])
def test_one_branch_has_the_macs_of_the_branches_on_maps_of_any_size(
    size: int, stride: int, padding: int
) -> None:
    def branch() -> nn.Module:
        return nn.Sequential(nn.Conv2d(32, 16, 3, stride=stride, padding=padding), nn.ReLU())

    layers = nn.Sequential(conv(3, 32), Branches(branch(), branch()))
    scene = stage(layers, torch.zeros(1, 3, size, size), fused=FUSED)
    changed = change(scene, "parallel branches")
    assert changed is not None
    assert isinstance(changed.after.module, Apart)
    assert macs(changed.after.module.parts[0], *changed.after.inputs) == pytest.approx(
        sum(op.macs for op in scene.manifest.ops if op.module.startswith("1")), rel=0.03
    )


def test_branches_without_a_dense_layer_become_one_pointwise_layer() -> None:
    branches = Branches(*(nn.Conv2d(32, 32, k, padding=k // 2, groups=32) for k in (3, 5)))
    layers = nn.Sequential(conv(3, 32), branches)
    changed = change(stage(layers, IMAGE, fused=FUSED), "parallel branches")
    assert changed is not None
    # 9 + 25 weights for each channel are 34 channels that read 32, and 32 fill vectors.
    assert outputs(changed) == ((1, 32, 1, 1),)


def test_unbalanced_widths_cost_the_bytes_that_they_move_beyond_balanced_ones() -> None:
    widths = [(32, 64), (64, 48), (48, 32), (32, 40), (40, 16), (16, 96), (96, 64), (64, 32)]
    scene = stage(network(*(conv(*each) for each in widths)), IMAGE, fused=FUSED)
    (found,) = detect(scene, ["unbalanced widths"])
    (place,) = found.finding.places
    assert place.what.startswith("16 → 96 channels")
    positions = math.prod(scene.ops[place.ops[0]].output_shape[2:])
    balanced = 32 + 48  # 32 · 48 = 16 · 96
    # A byte takes a tenth of a nanosecond there.
    wanted = 0.1 * 4 * positions * (16 + 96 - balanced)
    assert found.finding.attributed.time.ns == pytest.approx(wanted, rel=0.01)


def test_a_residual_connection_is_no_branch_with_or_without_projection() -> None:
    inside = nn.Sequential(conv(32, 32, 3), nn.Conv2d(32, 32, 3, padding=1))
    for projection in (None, nn.Conv2d(32, 32, 1)):
        scene = stage(network(Residual(inside, projection)), IMAGE, fused=FUSED)
        assert modules(scene, "parallel branches") == []


def test_residual_additions_are_bypassed_along_the_block() -> None:
    inside = nn.Sequential(conv(32, 32, 3), nn.Conv2d(32, 32, 3, padding=1))
    scene = stage(network(Residual(inside)), IMAGE, fused=FUSED)
    assert modules(scene, "element-wise") == ["1"]
    changed = change(scene, "element-wise")
    assert changed is not None
    assert changed.taken is not None
    assert len(changed.taken) == 1
    assert "1.inside.1.weight" in dict(changed.after.module.named_parameters())


@pytest.mark.parametrize("fused", [FUSED, FUSED - {OpKind.ACTIVATION}])
def test_an_addition_takes_the_activation_behind_it_along(fused: frozenset[OpKind]) -> None:
    inside = nn.Sequential(conv(32, 32, 3), nn.Conv2d(32, 32, 3, padding=1))
    scene = stage(network(nn.Sequential(Residual(inside), nn.ReLU())), IMAGE, fused=fused)
    (found,) = detect(scene, ["element-wise"])
    (place,) = found.finding.places
    (activation,) = scene.nodes[place.ops[0]].users
    owners = {scene.owner(place.ops[0]), scene.owner(activation.name)}
    assert len(owners) == (1 if OpKind.ACTIVATION in fused else 2)
    assert found.sightings[0].charges == dict.fromkeys(owners, 1.0)


def test_an_addition_is_not_bypassed_where_a_projection_would_go_with_it() -> None:
    inside = nn.Sequential(conv(32, 32, 3), nn.Conv2d(32, 32, 3, padding=1))
    scene = stage(network(Residual(inside, nn.Conv2d(32, 32, 1))), IMAGE, fused=FUSED)
    assert modules(scene, "element-wise") == ["1"]
    assert change(scene, "element-wise") is None


def test_conversions_around_a_gated_map_go_with_the_gate() -> None:
    plain = stage(network(Gated(32)), IMAGE, fused=FUSED - {OpKind.ACTIVATION})
    first, last = "relu", "mul"
    one_side = inserted(plain, first, "ReorderOutput", 5_000)
    both_sides = inserted(one_side, last, "ReorderInput", 7_000)
    costs = []
    for scene in (plain, one_side, both_sides):
        (found,) = detect(by_data_flow(scene, first), ["squeeze and excitation"])
        costs.append(found.finding.attributed.time.ns)
    assert costs[1] == pytest.approx(costs[0])
    assert costs[2] == pytest.approx(costs[0] + 12_000)


def by_data_flow(scene: Scene, map: str) -> Scene:
    """Return a scene of a gate whose pooling reads the map as it is, and its product what follows.

    Args:
        scene: a chain.
        map: the canonical op that gives the map.
    """
    at = scene.owner(map)
    pool, product = (scene.owner(name) for name in ("adaptive_avg_pool2d", "mul"))
    assert at is not None
    assert pool is not None
    assert product is not None
    ops = list(scene.profile.ops)
    ops[pool] = dataclasses.replace(ops[pool], reads=(at,))
    ops[product] = dataclasses.replace(ops[product], reads=(pool - 1, product - 1))
    ops = [
        dataclasses.replace(op, reads=op.reads or ((place - 1,) if place else ()))
        for place, op in enumerate(ops)
    ]
    return dataclasses.replace(scene, profile=dataclasses.replace(scene.profile, ops=tuple(ops)))


def test_a_gate_is_one_pattern_and_its_product_no_other() -> None:
    scene = stage(network(Gated(32)), IMAGE, fused=FUSED)
    (found,) = detect(scene, ["squeeze and excitation"])
    (place,) = found.finding.places
    assert place.module == "1"
    assert len(place.ops) == 6
    assert modules(scene, "element-wise") == []
    changed = change(scene, "squeeze and excitation")
    assert changed is not None
    assert "adaptive_avg_pool2d" not in str(changed.after.module)


def many(blocks: int) -> nn.Sequential:
    tiny = [conv(32, 32, groups=32) for _ in range(blocks)]
    return nn.Sequential(conv(3, 32, 3), nn.AdaptiveAvgPool2d(2), *tiny)


@pytest.mark.parametrize(("blocks", "found"), [(3, 0), (20, 20)])
def test_small_ops_count_where_they_are_many(blocks: int, found: int) -> None:
    scene = stage(many(blocks), torch.zeros(1, 3, 8, 8), fused=FUSED)
    small = modules(scene, "small ops")
    assert [module for module in small if module.endswith(".0")] == [
        f"{2 + block}.0" for block in range(found)
    ]
