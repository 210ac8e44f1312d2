"""What only moves values shares one range; what computes begins another."""

import pytest
import torch
from torch import nn

from groundspeed.export.quantize.movement import fused_activations, joined
from groundspeed.export.trace import trace
from groundspeed.quantization import Range


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        left, right = x.chunk(2, 1)
        whole = torch.cat((right, left), 1)
        shuffled = whole.view(1, 2, 2, 8, 8).transpose(1, 2).reshape(1, 4, 8, 8)
        pooled = nn.functional.max_pool2d(shuffled, 2)
        return nn.functional.relu(self.convolution(pooled)) + pooled


@pytest.fixture(scope="module")
def program():
    return trace(Shuffled(), (torch.randn(1, 4, 8, 8),))


def test_a_shuffle_is_one_group_and_a_convolution_ends_it(program) -> None:
    nodes = [node for node in program.graph.nodes if node.op in ("placeholder", "call_function")]
    ranges = {node.name: Range(low=0.0, high=float(1 + i)) for i, node in enumerate(nodes)}
    found = joined(program.graph, ranges)
    convolution = next(node.name for node in nodes if "conv2d" in node.name)
    pooled = next(node.name for node in nodes if "max_pool" in node.name)
    added = next(node.name for node in nodes if node.name.startswith("add"))
    moved = {found[name].high for name in ("x", pooled)}
    assert moved == {ranges[pooled].high}
    assert found[convolution] == ranges[convolution]
    assert found[added] == ranges[added]


def test_one_range_is_enough_for_a_group(program) -> None:
    found = joined(program.graph, {"x": Range(low=-1.0, high=1.0)})
    assert found["max_pool2d"] == Range(low=-1.0, high=1.0)
    assert "add" not in found


def test_an_activation_that_alone_reads_a_layer_is_a_part_of_it(program) -> None:
    convolution = next(node for node in program.graph.nodes if node.name == "conv2d")
    assert [node.name for node in fused_activations(convolution)] == ["relu"]
    pooled = next(node for node in program.graph.nodes if node.name == "max_pool2d")
    assert fused_activations(pooled) == []
