"""Every spelling of a shuffle becomes the same one; what is no shuffle stays."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from groundspeed.export.graph import editable
from groundspeed.export.rewrites.channel_shuffle import apply
from groundspeed.export.trace import trace

CANONICAL = ["aten.view.default", "aten.transpose.int", "aten.contiguous.default"]


def view_transpose(x, groups):
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).contiguous().view(b, c, h, w)


def reshape_permute(x, groups):
    b, c, h, w = x.shape
    return x.reshape(b, groups, c // groups, h, w).permute(0, 2, 1, 3, 4).reshape(b, c, h, w)


def transpose_flatten(x, groups):
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).flatten(1, 2)


def flat_pixels(x, groups):
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h * w).transpose(1, 2).reshape(b, c, h, w)


def gather(x, groups):
    c = x.shape[1]
    order = torch.arange(c).view(groups, c // groups).t().flatten()
    return x[:, order]


def select(x, groups):
    c = x.shape[1]
    return x.index_select(1, torch.arange(c).view(groups, c // groups).t().flatten())


SPELLINGS = [
    view_transpose,
    reshape_permute,
    transpose_flatten,
    flat_pixels,
    gather,
    select,
    F.channel_shuffle,
]


class Network(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return F.relu(self.function(F.relu(x)))


def rewritten(function, x):
    graph_module = editable(trace(Network(function), (x,)))
    return graph_module, apply(graph_module)


def targets(graph_module):
    return [str(node.target) for node in graph_module.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=2, deadline=None)
@given(
    groups=st.integers(2, 4),
    each=st.integers(2, 4),
    batch=st.integers(1, 2),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_every_spelling_becomes_view_transpose_contiguous_view(spelling, groups, each, batch, size):
    x = torch.randn(batch, groups * each, *size)
    graph_module, count = rewritten(lambda y: spelling(y, groups), x)
    assert torch.equal(graph_module(x), Network(lambda y: spelling(y, groups))(x))
    found = targets(graph_module)[1:-1]
    assert found == [*CANONICAL, "aten.view.default"]
    assert count == (0 if spelling is view_transpose else 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, [1, 0, 3, 2, 5, 4]],
        lambda x: x.flip(1),
        lambda x: x.transpose(2, 3).contiguous(),
        lambda x: x.reshape(1, 6, 16).transpose(1, 2).reshape(1, 6, 4, 4),
        lambda x: x.view(1, 3, 2, 4, 4).view(1, 6, 4, 4),
        lambda x: x[:, [0, 0, 1, 1, 2, 2]],
    ],
)
def test_other_moves_are_left_alone(function):
    x = torch.randn(1, 6, 4, 4)
    graph_module, count = rewritten(function, x)
    assert count == 0
    assert torch.equal(graph_module(x), Network(function)(x))


def test_a_shuffle_whose_middle_is_also_read_is_left_alone():
    def function(x):
        middle = x.view(1, 2, 3, 4, 4).transpose(1, 2)
        return middle.flatten(1, 2) + middle.sum()

    x = torch.randn(1, 6, 4, 4)
    graph_module, count = rewritten(function, x)
    assert count == 0
    torch.testing.assert_close(graph_module(x), Network(function)(x))


def test_the_new_ops_stand_for_the_users_line():
    graph_module, _ = rewritten(lambda y: F.channel_shuffle(y, 2), torch.randn(1, 6, 4, 4))
    for node in graph_module.graph.nodes:
        if node.op == "call_function":
            assert "test_channel_shuffle.py" in node.meta["stack_trace"]
