"""The rewrites other than shuffles: exact, counted, and only where they hold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from groundspeed.export.graph import editable
from groundspeed.export.rewrites import (
    channel_affine,
    functional,
    identities,
    pool_padding,
    spatial_mean,
)
from groundspeed.export.rewrites.catalog import REWRITES, rewrite
from groundspeed.export.trace import trace


class Network(nn.Module):
    def __init__(self, function, *children):
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(children)

    def forward(self, x):
        return self.function(x, *self.layers)


def rewritten(rewrite_graph, network, x, *, exactly=True):
    """Return targets after the rewrite and its count; the values are compared on the way."""
    graph_module = editable(trace(network, (x.clone(),)))
    count = rewrite_graph(graph_module)
    with torch.no_grad():
        got, expected = graph_module(x.clone()), network(x.clone())
    tolerance = {"rtol": 0.0, "atol": 0.0} if exactly else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(got, expected, **tolerance)
    return [str(n.target) for n in graph_module.graph.nodes if n.op == "call_function"], count


@pytest.mark.parametrize("axes", [(2, 3), (3, 2), (-1, -2), [-2, 3]])
@pytest.mark.parametrize("keepdim", [False, True])
def test_spatial_mean_becomes_pooling(axes, keepdim):
    network = Network(lambda x: x.mean(axes, keepdim=keepdim))
    x = torch.randn(2, 3, 5, 7)
    found, count = rewritten(spatial_mean.apply, network, x, exactly=False)
    assert count == 1
    assert found[0] == "aten.adaptive_avg_pool2d.default"


@pytest.mark.parametrize("axes", [(1, 2), 3, (1, 2, 3)])
def test_other_means_stay(axes):
    network = Network(lambda x: x.mean(axes))
    found, count = rewritten(spatial_mean.apply, network, torch.randn(2, 3, 5, 7))
    assert (found, count) == (["aten.mean.dim"], 0)


@settings(max_examples=8, deadline=None)
@given(
    kernel=st.integers(2, 4),
    stride=st.integers(1, 3),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_pool_padding_of_what_is_not_negative(kernel, stride, size, padding):
    network = Network(lambda x: F.max_pool2d(F.relu(x), kernel, stride, padding))
    x = torch.randn(1, 2, *size) - 2.0  # mostly negative, so that a wrong zero would show
    found, count = rewritten(pool_padding.apply, network, x)
    assert count == any(padding)
    assert ("aten.constant_pad_nd.default" in found) == any(padding)


@pytest.mark.parametrize(
    "before",
    [
        torch.sigmoid,
        F.relu6,
        lambda x: torch.cat([F.relu(x), F.hardsigmoid(x)], 1),
        lambda x: F.relu(x) + F.relu(-x),
        lambda x: F.max_pool2d(F.relu(x), 2, 1),
        lambda x: F.relu(x).chunk(2, 1)[1],
        lambda x: x.clamp(min=0.5),
    ],
)
def test_what_is_known_not_to_be_negative(before):
    network = Network(lambda x: F.max_pool2d(before(x), 3, 2, 1))
    assert rewritten(pool_padding.apply, network, torch.randn(1, 2, 8, 8))[1] == 1


@pytest.mark.parametrize(
    "before",
    [
        lambda x: x,
        F.leaky_relu,
        F.hardswish,
        lambda x: F.relu(x) - 1,
        lambda x: F.relu(x) * -1,
        lambda x: F.relu(x) + -1.0,
        lambda x: torch.add(F.relu(x), F.relu(-x), alpha=-1),
        lambda x: torch.cat([F.relu(x), x], 1),
        lambda x: x.clamp(min=-1),
    ],
)
def test_pool_padding_stays_where_values_may_be_negative(before):
    network = Network(lambda x: F.max_pool2d(before(x), 3, 2, 1))
    assert rewritten(pool_padding.apply, network, torch.randn(1, 2, 8, 8) - 2)[1] == 0


def test_identities_disappear():
    network = Network(lambda x, drop: drop(x).detach().to(torch.float32) + 1, nn.Dropout())
    found, count = rewritten(identities.apply, network, torch.randn(1, 3))
    assert found == ["aten.add.Tensor"]
    assert count >= 2


def test_casts_and_active_dropout_stay():
    network = Network(lambda x: x.double())
    assert rewritten(identities.apply, network, torch.randn(1, 3))[1] == 0
    graph_module = editable(trace(Network(lambda x: F.dropout(x, 0.5, True)), (torch.ones(1, 3),)))
    assert identities.apply(graph_module) == 0


def test_in_place_ops_become_functional():
    def function(x, conv):
        y = conv(x)
        z = F.relu(y, inplace=True)
        z += 1
        return y + z  # y was changed in place twice

    network = Network(function, nn.Conv2d(3, 3, 1))
    found, count = rewritten(functional.apply, network, torch.randn(1, 3, 4, 4))
    assert count == 2
    assert not any("_." in target for target in found)


def test_writing_into_a_part_stays():
    def function(x, conv):
        y = conv(x)
        y[:, :2] += 1
        return y

    network = Network(function, nn.Conv2d(3, 3, 1))
    rewritten(functional.apply, network, torch.randn(1, 3, 4, 4))


def test_scale_and_shift_go_into_the_normalization():
    network = Network(lambda x, norm, a, b: norm(x) * a.weight + b.weight, nn.BatchNorm2d(3))
    for _ in range(2):
        holder = nn.Module()
        holder.weight = nn.Parameter(torch.randn(3, 1, 1))
        network.layers.append(holder)
    found, count = rewritten(channel_affine.apply, network, torch.randn(1, 3, 4, 4), exactly=False)
    assert (found, count) == (["aten.batch_norm.default"], 2)


@pytest.mark.parametrize("size", [(4,), (4, 1), (3, 4, 4)])
def test_scale_along_another_axis_stays(size):
    network = Network(lambda x, norm, a: norm(x) * a.weight, nn.BatchNorm2d(3))
    holder = nn.Module()
    holder.weight = nn.Parameter(torch.randn(size))
    network.layers.append(holder)
    assert rewritten(channel_affine.apply, network, torch.randn(1, 3, 4, 4))[1] == 0


def test_only_the_format_that_gains_is_rewritten():
    network = Network(lambda x: F.max_pool2d(F.relu(x), 3, 2, 1))
    program = trace(network, (torch.randn(1, 3, 8, 8),))
    assert [step.name for step in rewrite(program, "tflite")[1]] == ["pool_padding"]
    assert rewrite(program, "onnx")[1] == ()
    assert rewrite(program, "ncnn")[1] == ()


def test_every_row_says_what_it_does():
    assert len({row.name for row in REWRITES}) == len(REWRITES)
    assert all(row.summary and not row.summary.endswith(".") for row in REWRITES)
