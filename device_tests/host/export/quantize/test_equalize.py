"""Equalization changes no output and makes ranges even. Oracles: the network itself, the paper."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groundspeed.export.affine import Linearity
from groundspeed.export.graph import editable
from groundspeed.export.quantize.bias_correction import rounding
from groundspeed.export.quantize.equalize import TOLERANCE, Equalized, equalize
from groundspeed.export.trace import trace
from groundspeed.export.weighted import Skipped

ACTIVATIONS = [nn.Identity, nn.ReLU, lambda: nn.LeakyReLU(0.1), lambda: nn.PReLU(12)]
LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def uneven(module: nn.Module) -> nn.Module:
    """Spread the ranges of output channels over two orders of magnitude."""
    for layer in module.modules():
        if isinstance(layer, LAYERS):
            axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
            size = [1] * layer.weight.dim()
            size[axis] = layer.weight.shape[axis]
            with torch.no_grad():
                layer.weight *= 10 ** (torch.rand(size).to(layer.weight.dtype) * 2 - 1)
    return module.eval()


def equalized(module, *inputs, **options) -> tuple[torch.fx.GraphModule, Equalized]:
    graph_module = editable(trace(module, inputs))
    return graph_module, equalize(graph_module, **options)


def output_peaks(weight: torch.Tensor) -> torch.Tensor:
    return weight.abs().flatten(1).amax(1)


def input_peaks(weight: torch.Tensor) -> torch.Tensor:
    return output_peaks(weight.transpose(0, 1))


@st.composite
def chains(draw):
    """Two to four layers of 12 channels in a row, with something homogeneous between them."""
    rank = draw(st.integers(1, 2))
    layers = []
    for _ in range(draw(st.integers(2, 4))):
        kinds = [nn.Conv1d] if rank == 1 else [nn.Conv2d, nn.ConvTranspose2d]
        kind = draw(st.sampled_from(kinds))
        groups = draw(st.sampled_from([1, 2, 3, 12]))
        padding = draw(st.integers(0, 1))
        layers += [
            kind(12, 12, 3, padding=padding, groups=groups, bias=draw(st.booleans())),
            draw(st.sampled_from(ACTIVATIONS))(),
        ]
    return rank, nn.Sequential(*layers)


@settings(max_examples=20, deadline=None)
@given(chain=chains(), seed=st.integers(0, 1000))
def test_what_the_network_computes_stays_the_same(chain, seed):
    torch.manual_seed(seed)
    rank, module = chain
    for layer in module:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    uneven(module.double())
    layers = sum(isinstance(layer, LAYERS) for layer in module)
    x = torch.randn(2, 12, *[10] * rank).double()
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        expected = module(x)
        graph_module, result = equalized(module, x)
        torch.testing.assert_close(graph_module(x), expected, rtol=1e-9, atol=1e-9)
    assert len(result.pairs) == layers - 1
    assert [skipped.reason for skipped in result.skipped] == ["computes an output of the network"]
    assert graph_module.state_dict().keys() == before.keys(), "a bias came or went"
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), f"equalization changed the user's own {name}"


def test_both_layers_of_a_pair_get_the_geometric_mean_of_their_ranges():
    torch.manual_seed(0)
    module = uneven(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1)))
    first, second = output_peaks(module[0].weight), input_peaks(module[2].weight)
    graph_module, result = equalized(module, torch.randn(1, 3, 8, 8))
    state = graph_module.state_dict()
    best = (first * second).sqrt().detach()
    torch.testing.assert_close(output_peaks(state["0.weight"]), best)
    torch.testing.assert_close(input_peaks(state["2.weight"]), best)
    (pair,) = result.pairs
    assert (pair.first, pair.second) == ("0", "2")
    before = (first / first.max() * second / second.max()).mean()
    after = ((best / best.max()) ** 2).mean()
    assert pair.evenness_before == pytest.approx(before.item(), rel=1e-5)
    assert pair.evenness_after == pytest.approx(after.item(), rel=1e-5)
    assert result.gain == pytest.approx((after / before).item(), rel=1e-5)
    assert result.gain > 1


def test_pairs_of_a_bottleneck_are_balanced_together():
    torch.manual_seed(0)
    module = uneven(
        nn.Sequential(
            nn.Conv2d(4, 8, 1), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(),
            nn.Conv2d(8, 4, 1),
        )
    )  # fmt: skip
    graph_module, _ = equalized(module, torch.randn(1, 4, 8, 8))
    state = graph_module.state_dict()
    expand, depthwise, project = (state[f"{index}.weight"] for index in (0, 2, 4))
    near = {"rtol": 2 * TOLERANCE, "atol": 0.0}
    torch.testing.assert_close(output_peaks(expand), output_peaks(depthwise), **near)
    torch.testing.assert_close(output_peaks(depthwise), input_peaks(project), **near)


def test_grouped_input_channels_are_counted_group_by_group():
    module = nn.Sequential(
        nn.Conv2d(1, 4, 1, bias=False), nn.Conv2d(4, 2, 1, groups=2, bias=False)
    ).eval()
    with torch.no_grad():
        module[0].weight[:] = torch.tensor([1.0, 4.0, 16.0, 64.0]).view(4, 1, 1, 1)
        module[1].weight[:] = torch.tensor([[1.0, 1.0], [1.0, 4.0]]).view(2, 2, 1, 1)
    state = equalized(module, torch.randn(1, 1, 2, 2))[0].state_dict()
    assert state["0.weight"].flatten().tolist() == pytest.approx([1, 2, 4, 16])
    assert state["1.weight"].flatten().tolist() == pytest.approx([1, 2, 4, 16])


@pytest.mark.parametrize(
    "between",
    [
        [nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()],
        [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        [nn.ZeroPad2d(1), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten()],
    ],
)
def test_scales_pass_pooling_padding_and_flattening(between):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 1), *between)
    x = torch.randn(2, 3, 4, 4)
    module = uneven(nn.Sequential(body, nn.Linear(body(x).shape[1], 5)))
    with torch.no_grad():
        graph_module, result = equalized(module, x)
        torch.testing.assert_close(graph_module(x), module(x), rtol=1e-4, atol=1e-5)
    assert [(pair.first, pair.second) for pair in result.pairs] == [("0.0", "1")]
    columns = input_peaks(graph_module.state_dict()["1.weight"]).view(4, -1).amax(1)
    torch.testing.assert_close(output_peaks(graph_module.state_dict()["0.0.weight"]), columns)


def test_linear_layers_of_a_sequence():
    torch.manual_seed(0)
    module = uneven(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    x = torch.randn(2, 5, 4)
    with torch.no_grad():
        graph_module, result = equalized(module, x)
        torch.testing.assert_close(graph_module(x), module(x), rtol=1e-4, atol=1e-5)
    assert len(result.pairs) == 1


def test_channels_of_zeros_stay():
    torch.manual_seed(0)
    module = uneven(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    with torch.no_grad():
        module[0].weight[1] = 0
        module[2].weight[:, 2] = 0
    x = torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        graph_module, result = equalized(module, x)
        torch.testing.assert_close(graph_module(x), module(x), rtol=1e-4, atol=1e-5)
    state = graph_module.state_dict()
    assert torch.equal(state["0.bias"][[1, 2]], module[0].bias[[1, 2]].detach())
    assert torch.equal(state["0.weight"][2], module[0].weight[2].detach())
    assert torch.equal(state["2.weight"][:, 1], module[2].weight[:, 1].detach())
    assert result.gain > 1


def test_layers_of_nothing_but_zeros_are_as_even_as_they_get():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)).eval()
    nn.init.zeros_(module[1].weight)
    _, result = equalized(module, torch.randn(1, 3, 4, 4))
    assert result.gain == 1.0


def rounded_error(module: nn.Module, x: torch.Tensor, *, equal: bool) -> float:
    """Return the error of a network with one scale for each weight, relative to its output."""
    graph_module = editable(trace(module, [x]))
    if equal:
        equalize(graph_module)
    rounded = copy.deepcopy(module)
    rounded.load_state_dict(graph_module.state_dict())
    with torch.no_grad():
        for layer in rounded:
            if isinstance(layer, LAYERS):
                step = layer.weight.abs().max() / 127
                layer.weight[:] = (layer.weight / step).round() * step
        expected = module(x)
        return float((rounded(x) - expected).norm() / expected.norm())


def test_one_scale_for_a_whole_weight_loses_less():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(),
        nn.Conv2d(16, 16, 3, groups=16), nn.ReLU(),
        nn.Conv2d(16, 8, 1),
    ).eval()  # fmt: skip
    with torch.no_grad():  # the same function as an even network, badly scaled
        scales = 10 ** (torch.rand(16) * 3)
        module[0].weight *= scales.view(-1, 1, 1, 1)
        module[0].bias *= scales
        module[2].weight /= scales.view(-1, 1, 1, 1)
    x = torch.randn(4, 3, 12, 12)
    lost, kept = (rounded_error(module, x, equal=equal) for equal in (False, True))
    assert kept < lost / 10


def test_a_network_without_pairs_stays_as_it_is():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid(), nn.Conv2d(4, 2, 1)).eval()
    graph_module = editable(trace(module, [torch.randn(1, 3, 4, 4)]))
    nodes, state = str(graph_module.graph), copy.deepcopy(graph_module.state_dict())
    result = equalize(graph_module, replace_relu6=True)
    assert result.pairs == ()
    assert result.gain == 1.0
    assert str(graph_module.graph) == nodes
    assert graph_module.state_dict().keys() == state.keys()
    for name, value in graph_module.state_dict().items():
        assert value.numpy().tobytes() == state[name].numpy().tobytes()


def test_relu6_stays_unless_asked_for():
    torch.manual_seed(0)
    module = uneven(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(), nn.Conv2d(4, 2, 1)))
    x = 10 * torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        graph_module, result = equalized(module, x)
        assert torch.equal(graph_module(x), module(x))
        assert result.pairs == ()
        assert result.replaced == ()
        (relu6, _) = result.skipped
        assert relu6.module == "0"
        assert "ReLU6" in relu6.reason

        graph_module, result = equalized(module, x, replace_relu6=True)
        assert len(result.pairs) == len(result.replaced) == 1
        unclipped = nn.Sequential(module[0], nn.ReLU(), module[2])
        torch.testing.assert_close(graph_module(x), unclipped(x), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(graph_module(x), module(x), rtol=1e-2)


def test_scales_per_channel_gain_too():
    """The second layer's scales serve all of its input channels."""
    torch.manual_seed(0)
    module = uneven(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)))
    x = torch.randn(64, 8)

    def error(graph_module):
        rounded = copy.deepcopy(module)
        rounded.load_state_dict(graph_module.state_dict())
        with torch.no_grad():
            for layer in (rounded[0], rounded[2]):
                layer.weight[:] = rounding()("", Linearity(layer.weight.detach(), None))
            return (rounded(x) - module(x)).norm()

    assert error(equalized(module, x)[0]) < error(editable(trace(module, [x])))


def test_skipped_layers_are_named():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid(), nn.Linear(4, 2)).eval()
    _, result = equalized(module, torch.randn(1, 3, 4, 4))
    assert result.skipped == (
        Skipped("0", "comes before sigmoid, which no scale per channel passes"),
        Skipped("2", "computes an output of the network"),
    )
