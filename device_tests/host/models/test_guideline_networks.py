"""The experiments' networks are those of the paper: their MACs, against two other counts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from groundspeed.models import guideline_networks
from groundspeed.models.cost import analyze, totals
from groundspeed.models.guideline_networks import (
    bottlenecks,
    fragments,
    group_convolutions,
    unbalanced_widths,
)

# Function, arguments, and weights of one block on paper.
NETWORKS: list[tuple[str, dict[str, Any], int]] = [
    ("unbalanced_widths", {"first": 9, "second": 108}, 2 * 9 * 108),
    ("group_convolutions", {"channels": 90, "groups": 2}, 90 * 90 // 2),
    ("group_convolutions", {"channels": 180, "groups": 8}, 184 * 184 // 8),
    ("fragments", {"channels": 64, "count": 1}, 64 * 64),
    ("fragments", {"channels": 64, "count": 4}, 4 * 32 * 32),
    ("fragments", {"channels": 64, "count": 2, "arrangement": "parallel"}, 2 * 45 * 45),
    ("bottlenecks", {"channels": 32}, 2 * 32 * 8 + 9 * 8 * 8),
    ("bottlenecks", {"channels": 64, "relu": False, "shortcut": False}, 2 * 64 * 16 + 9 * 16 * 16),
]


@pytest.mark.parametrize(("function", "arguments", "weights"), NETWORKS)
def test_macs_are_those_of_the_closed_form_and_of_another_counter(
    function: str, arguments: dict[str, Any], weights: int
) -> None:
    network, image = getattr(guideline_networks, function)(**arguments, blocks=3, size=8, batch=2)
    expected = 3 * weights * 8 * 8 * 2
    program = torch.export.export(network, (image,))
    assert totals(analyze(program)).macs == expected
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    assert counter.get_total_flops() == 2 * expected


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("arrangement", ["series", "parallel"])
def test_fragments_have_about_the_weights_of_one_convolution(count: int, arrangement: Any) -> None:
    network, _ = fragments(channels=64, count=count, arrangement=arrangement, blocks=1, size=4)
    weights = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))
    assert math.isclose(weights, 64 * 64, rel_tol=0.06)


def test_parallel_fragments_are_added_up() -> None:
    network, image = fragments(channels=8, count=4, arrangement="parallel", blocks=1, size=4)
    (block,) = network
    branches = [branch(image) for branch in block.branches]
    assert torch.allclose(network(image), torch.stack(branches).sum(0), atol=1e-5)


def test_a_bottleneck_without_both_is_linear() -> None:
    network, image = bottlenecks(channels=16, relu=False, shortcut=False, blocks=2, size=6)
    offset = network(torch.zeros_like(image))
    twice = network(2 * image) - offset
    assert torch.allclose(twice, 2 * (network(image) - offset), rtol=1e-3, atol=1e-3)


def test_the_shortcut_adds_a_blocks_input() -> None:
    network, image = bottlenecks(channels=16, relu=False, blocks=1, size=6)
    (block,) = network
    assert torch.allclose(network(image), block.layers(image) + image, atol=1e-5)


@pytest.mark.parametrize("relu", [False, True])
def test_only_the_whole_bottleneck_has_relus(relu: bool) -> None:
    network, _ = bottlenecks(channels=16, relu=relu, blocks=2, size=4)
    assert sum(isinstance(layer, nn.ReLU) for layer in network.modules()) == (6 if relu else 0)


@pytest.mark.parametrize(
    "made",
    [
        unbalanced_widths(first=9, second=108, size=8),
        group_convolutions(channels=64, groups=8, size=8),
        fragments(channels=64, count=4, arrangement="parallel", size=8),
        bottlenecks(channels=32, relu=False, size=8),
    ],
)
def test_maps_neither_fade_nor_explode(made: guideline_networks.Made) -> None:
    network, image = made
    with torch.no_grad():
        assert 0.05 < network(image).std() < 50
