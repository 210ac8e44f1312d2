"""Which layers follow one another for a scale per channel, and why others do not."""

import pytest
import torch
from torch import nn

from groundspeed.export.graph import calls, editable
from groundspeed.export.quantize.links import link
from groundspeed.export.trace import trace
from groundspeed.export.weighted import WEIGHTED, NotExact, title


class Called(nn.Module):
    """Two convolutions and what a function makes of them."""

    def __init__(self, function):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


class Permuted(nn.Module):
    """A linear layer over the width of a feature map."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)

    def forward(self, x):
        return self.two(self.one(x))


def links(module, x):
    """Return path of each layer -> path of the next, or the reason why there is none."""
    graph_module = editable(trace(module.eval(), [x]))
    found = {}
    for node in calls(graph_module, *WEIGHTED):
        try:
            found[title(node)] = title(link(graph_module, node, replace_relu6=False).second)
        except NotExact as reason:
            found[title(node)] = str(reason)
    return found


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.two(net.one(x)),
        lambda net, x: net.two(net.one(x).relu_()),
        lambda net, x: net.two(net.one(x).clamp(min=0)),
        lambda net, x: net.two(nn.functional.pad(net.one(x), (1, 1, 1, 1))),
        lambda net, x: x + net.two(net.one(x).relu()),
    ],
)
def test_layers_in_a_row(function):
    assert links(Called(function), torch.randn(1, 3, 4, 4))["one"] == "two"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Called(lambda net, x: net.two(net.one(x).sigmoid())), "comes before sigmoid"),
        (Called(lambda net, x: net.two(net.one(x) + x)), "comes before add"),
        (Called(lambda net, x: net.two(net.one(x).clamp(-1, 1))), "comes before clamp"),
        (Called(lambda net, x: net.two(net.one(x).clamp(0, 6))), "a ReLU6"),
        (Called(lambda net, x: net.two(nn.functional.relu6(net.one(x)))), "a ReLU6"),
        (
            Called(lambda net, x: net.two(nn.functional.pad(net.one(x), (1, 1), value=1.0))),
            "comes before pad",
        ),
        (Called(lambda net, x: (net.two(net.one(x)), net.two(x))), "shares its weight"),
        (Called(lambda net, x: (net.one(net.one(x)), net.two(x))), "shares its weight"),
        (Called(lambda net, x: (net.one(x), net.two(x))), "an output of the network"),
        (Permuted(), "sums over another axis"),
    ],
)
def test_reasons(module, reason):
    assert reason in links(module, torch.randn(1, 3, 4, 4))["one"]


def test_what_two_ops_read_cannot_be_scaled_for_one():
    module = Called(lambda net, x: net.two(y := net.one(x)) * y.mean())
    assert links(module, torch.randn(1, 3, 4, 4))["one"] == "is read by 2 ops"


def test_maximum_over_the_channels_of_a_sequence_mixes_them():
    module = nn.Sequential(nn.Linear(4, 4), nn.MaxPool1d(2), nn.Linear(2, 2))
    assert "max_pool1d" in links(module, torch.randn(2, 4, 4))["0"]


def test_computed_weight_and_missing_batch():
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1))
    found = links(nn.Sequential(nn.Conv2d(3, 3, 1), normed), torch.randn(1, 3, 4, 4))
    assert found["0"] == "comes before 1, which has a computed weight"
    assert found["1"] == "has a computed weight"
    assert links(nn.Conv2d(3, 3, 1), torch.randn(3, 4, 4)) == {"conv2d": "has no batch dimension"}
