"""Means are right after correction. Oracle: the network with weights rounded by hand."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groundspeed.errors import DataError
from groundspeed.export.affine import Linearity
from groundspeed.export.graph import editable
from groundspeed.export.quantize.bias_correction import correct_bias, rounding
from groundspeed.export.trace import trace

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def network(*, bias: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=bias), nn.ReLU6(),
        nn.Conv2d(8, 8, 3, groups=8, bias=bias), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 5, bias=bias),
    ).eval()  # fmt: skip


def photographs(count: int = 6) -> list[tuple[torch.Tensor]]:
    """Inputs that are not centred, as pictures are."""
    torch.manual_seed(1)
    return [(torch.rand(1, 3, 12, 12) + 0.5,) for _ in range(count)]


def coarse(name: str, layer: Linearity) -> torch.Tensor:
    """Weights of 3 bits: an error that nobody overlooks."""
    step = layer.weight.abs().max() / 3
    return (layer.weight / step).round() * step


def corrected(module, samples, quantized_weight=coarse):
    graph_module = editable(trace(module, samples[0]))
    return graph_module, correct_bias(graph_module, samples, quantized_weight)


def means(module: nn.Module, samples) -> list[torch.Tensor]:
    """Return the mean of each channel of each layer's output, measured with hooks."""
    found: dict[nn.Module, list[torch.Tensor]] = {}

    def note(layer, inputs, output):
        axis = -1 if isinstance(layer, nn.Linear) else 1
        found.setdefault(layer, []).append(output.movedim(axis, 0).flatten(1).mean(1))

    hooks = [
        layer.register_forward_hook(note) for layer in module.modules() if isinstance(layer, LAYERS)
    ]
    with torch.no_grad():
        for sample in samples:
            module(*sample)
    for hook in hooks:
        hook.remove()
    return [torch.stack(each).mean(0) for each in found.values()]


def rounded_by_hand(module: nn.Module, state) -> nn.Module:
    """Return the network with coarse weights and the biases of ``state``."""
    rounded = copy.deepcopy(module)
    with torch.no_grad():
        for name, layer in rounded.named_modules():
            if isinstance(layer, LAYERS):
                layer.weight[:] = coarse("", Linearity(layer.weight, None))
                path = f"{name}.bias" if name else "bias"
                if path in state:
                    layer.bias = nn.Parameter(state[path].detach().clone())
    return rounded


@pytest.mark.parametrize("bias", [True, False])
def test_no_mean_is_off_on_the_calibration_data(bias):
    module, samples = network(bias=bias), photographs()
    original = copy.deepcopy(module.state_dict())
    graph_module, result = corrected(module, samples)
    exact = means(module, samples)
    lost = means(rounded_by_hand(module, original), samples)
    kept = means(rounded_by_hand(module, graph_module.state_dict()), samples)
    for wanted, before, after in zip(exact, lost, kept, strict=True):
        assert (before - wanted).abs().max() > 1e-3
        torch.testing.assert_close(after, wanted, rtol=0, atol=1e-6)
    assert [layer.module for layer in result.layers] == ["0", "2", "6"]
    assert result.shift_after < 1e-6 < 1e-2 < result.shift_before
    assert result.samples == len(samples)
    for name, value in module.state_dict().items():
        assert torch.equal(value, original[name]), f"correction changed the user's own {name}"
        if name.endswith("weight"):
            assert torch.equal(graph_module.state_dict()[name], value)


def test_shift_is_the_weight_error_times_the_mean_input():
    torch.manual_seed(0)
    module = nn.Linear(6, 4).eval()
    samples = [(torch.rand(3, 6),) for _ in range(4)]
    graph_module, result = corrected(module, samples)
    inputs = torch.cat([x for (x,) in samples])
    error = coarse("", Linearity(module.weight.detach(), None)) - module.weight.detach()
    shift = error @ inputs.mean(0)
    torch.testing.assert_close(graph_module.state_dict()["bias"], module.bias.detach() - shift)
    with torch.no_grad():
        size = module(inputs).square().mean().sqrt()
    assert result.layers[0].before == pytest.approx(float(shift.abs().mean() / size), rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from([nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d]),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
    batch=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_every_kind_of_layer(kind, groups, bias, batch, seed):
    torch.manual_seed(seed)
    module = nn.Sequential(kind(4, 8, 3, groups=groups, bias=bias), nn.ReLU()).eval()
    rank = 1 if kind is nn.Conv1d else 2
    samples = [(torch.rand(batch, 4, *[6] * rank),) for _ in range(3)]
    graph_module, _ = corrected(module, samples)
    rounded = rounded_by_hand(module, graph_module.state_dict())
    for after, wanted in zip(means(rounded, samples), means(module, samples), strict=True):
        torch.testing.assert_close(after, wanted, rtol=0, atol=1e-6)


def test_output_of_the_rounded_network_comes_nearer():
    module, samples = network(), photographs(16)
    graph_module, _ = corrected(module, samples)
    unseen = torch.rand(16, 3, 12, 12) + 0.5
    with torch.no_grad():
        expected = module(unseen)
        before = rounded_by_hand(module, module.state_dict())(unseen)
        after = rounded_by_hand(module, graph_module.state_dict())(unseen)
    assert (after - expected).norm() < (before - expected).norm() / 2


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(self.conv(x).relu())


def test_layer_that_is_called_twice_gets_two_biases_for_one_weight():
    torch.manual_seed(0)
    graph_module, result = corrected(Twice().eval(), photographs())
    state = graph_module.state_dict()
    assert sorted(state) == ["conv.bias", "conv.bias_1", "conv.weight"]
    assert not torch.equal(state["conv.bias"], state["conv.bias_1"])
    assert result.shift_after < 1e-6


def test_weights_that_integers_express_leave_the_network_as_it_is():
    module, samples = network(bias=False), photographs()
    graph_module = editable(trace(module, samples[0]))
    nodes, state = str(graph_module.graph), copy.deepcopy(graph_module.state_dict())
    result = correct_bias(graph_module, samples, lambda name, layer: layer.weight)
    assert str(graph_module.graph) == nodes
    assert graph_module.state_dict().keys() == state.keys()
    for name, value in graph_module.state_dict().items():
        assert value.numpy().tobytes() == state[name].numpy().tobytes()
    assert result.shift_before == result.shift_after == 0


def test_computed_weight_is_skipped_with_a_reason():
    torch.manual_seed(0)
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1))
    _, result = corrected(nn.Sequential(nn.Conv2d(3, 3, 1), normed).eval(), photographs())
    assert [layer.module for layer in result.layers] == ["0"]
    assert [(each.module, each.reason) for each in result.skipped] == [
        ("1", "has a computed weight")
    ]


def test_no_samples_and_bad_samples():
    graph_module = editable(trace(network(), photographs()[0]))
    with pytest.raises(DataError, match="no samples"):
        correct_bias(graph_module, [], coarse)
    broken = photographs()
    broken[3][0][0, 0, 0, 0] = torch.nan
    with pytest.raises(DataError, match="NaN or infinity"):
        correct_bias(graph_module, broken, coarse)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_rounding_takes_one_scale_for_an_output_channel(kind, groups, per_channel):
    torch.manual_seed(0)
    conv = kind(4, 6, 3, groups=groups)
    transposed = kind is nn.ConvTranspose2d
    layer = Linearity(conv.weight.detach(), None, groups, transposed)
    rounded = rounding(per_channel=per_channel)("conv", layer)
    # What an output channel does to a picture shows its weights, however they are stored.
    with torch.no_grad():
        basis = torch.eye(4).view(4, 4, 1, 1)
        pad = 0 if transposed else 2
        conv.bias[:] = 0
        apply = nn.functional.conv_transpose2d if transposed else nn.functional.conv2d
        exact = apply(basis, conv.weight, padding=pad, groups=groups)
        seen = apply(basis, rounded, padding=pad, groups=groups)
    steps = exact.abs().amax((0, 2, 3)) / 127
    if not per_channel:
        steps = steps.max().expand(6)
    by_hand = (exact / steps.view(6, 1, 1)).round() * steps.view(6, 1, 1)
    torch.testing.assert_close(seen, by_hand)


def test_rounding_spares_ops_that_stay_float():
    layer = Linearity(torch.randn(4, 3), None)
    quantized_weight = rounding(ops={"linear_1"})
    assert torch.equal(quantized_weight("linear", layer), layer.weight)
    assert not torch.equal(quantized_weight("linear_1", layer), layer.weight)
