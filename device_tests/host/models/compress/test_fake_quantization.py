"""Layers and ranges compute what the paper says, forward and backward."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from groundspeed.errors import TrainingError
from groundspeed.models.compress.fake_quantization import (
    FoldedLayer,
    Normalization,
    Schedule,
    SharedRange,
    rounded_weight,
)
from groundspeed.quantization import Range

aten = torch.ops.aten


@pytest.fixture
def normalization() -> nn.BatchNorm2d:
    """One with uneven statistics; a channel has a negative scale, another one none at all."""
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(6, momentum=0.2, eps=1e-3)
    nn.init.uniform_(layer.running_var, 0.3, 3.0)
    nn.init.normal_(layer.running_mean)
    layer.weight.data = torch.tensor([1.0, -2.0, 0.0, 0.1, 30.0, 1.5])
    nn.init.normal_(layer.bias)
    return layer


def folded_layer(
    conv: nn.Conv2d,
    normalization: nn.BatchNorm2d,
    *,
    per_channel: bool = True,
    schedule: Schedule | None = None,
) -> FoldedLayer:
    assert normalization.running_mean is not None
    assert normalization.running_var is not None
    return FoldedLayer(
        aten.conv2d.default,
        ([1, 1], [1, 1]),
        conv.weight,
        conv.bias,
        normalization=Normalization(
            normalization.weight,
            normalization.bias,
            normalization.running_mean.clone(),
            normalization.running_var.clone(),
            momentum=normalization.momentum or 0.0,
            epsilon=normalization.eps,
        ),
        axis=0,
        per_channel=per_channel,
        schedule=schedule or Schedule(),
    )


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_layer_is_folded_by_the_moving_averages_then_rounded(
    per_channel: bool, has_bias: bool, normalization: nn.BatchNorm2d
) -> None:
    conv = nn.Conv2d(4, 6, 3, padding=1, bias=has_bias)
    layer = folded_layer(conv, normalization, per_channel=per_channel).eval()
    # Equation 14 of the paper, then equation 12 with the zero point 0, in float64.
    mean, variance = normalization.running_mean, normalization.running_var
    assert mean is not None
    assert variance is not None
    scale = normalization.weight.double() / (variance.double() + 1e-3).sqrt()
    weight = conv.weight.double() * scale[:, None, None, None]
    peaks = weight.abs().amax((1, 2, 3)) if per_channel else weight.abs().max().expand(6)
    steps = (peaks / 127).clamp(min=1e-30)[:, None, None, None]
    weight = (weight / steps).round() * steps
    bias = normalization.bias.double() - mean.double() * scale
    if conv.bias is not None:
        bias = bias + conv.bias.double() * scale
    x = torch.randn(2, 4, 5, 5)
    expected = functional.conv2d(x.double(), weight, bias, padding=1)
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-4)


def test_statistics_move_as_those_of_a_batch_normalization_until_they_freeze(
    normalization: nn.BatchNorm2d,
) -> None:
    conv = nn.Conv2d(4, 6, 3, padding=1, bias=False)
    layer = folded_layer(conv, normalization, schedule=Schedule(freeze=2)).train()
    folded = layer.normalization
    assert folded is not None
    assert normalization.running_mean is not None
    assert normalization.running_var is not None
    batches = torch.randn(4, 8, 4, 5, 5)
    for batch in batches[:2]:
        layer(batch)
        normalization(conv(batch))
    for batch in batches[2:]:  # frozen
        layer(batch)
    torch.testing.assert_close(folded.mean, normalization.running_mean)
    torch.testing.assert_close(folded.variance, normalization.running_var)
    assert int(layer.batches) == 4


def test_a_weights_gradient_passes_the_rounding_straight_through(
    normalization: nn.BatchNorm2d,
) -> None:
    conv = nn.Conv2d(4, 6, 3, padding=1, bias=False)
    layer = folded_layer(conv, normalization).eval()
    x = torch.randn(2, 4, 5, 5)
    layer(x).square().sum().backward()
    assert conv.weight.grad is not None
    # By hand: the gradient at the rounded weight, times what folding multiplied the weight by.
    rounded, bias = layer.rounded()
    rounded = rounded.detach().requires_grad_()
    functional.conv2d(x, rounded, bias, padding=1).square().sum().backward()
    assert rounded.grad is not None
    assert normalization.running_var is not None
    scale = normalization.weight.detach() / (normalization.running_var + 1e-3).sqrt()
    torch.testing.assert_close(conv.weight.grad, rounded.grad * scale[:, None, None, None])


def test_the_channels_of_a_transposed_weight_are_its_second_dimension() -> None:
    weight = torch.randn(3, 2, 2, 2) * torch.tensor([1.0, 100.0])[None, :, None, None]
    rounded = rounded_weight(weight, axis=1, per_channel=True)
    for channel in range(2):
        step = weight[:, channel].abs().max() / 127
        levels = rounded[:, channel] / step
        torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)
        assert (rounded[:, channel] - weight[:, channel]).abs().max() <= step * 0.501


def test_ranges_are_moving_averages_of_every_site() -> None:
    shared = SharedRange(2, Schedule(momentum=0.25)).train()
    shared(torch.tensor([-1.0, 3.0]), 0)
    assert shared.range() == Range(low=-1.0, high=3.0)
    shared(torch.tensor([-2.0, 7.0]), 0)  # -1 + (-2 + 1) / 4, 3 + (7 - 3) / 4
    assert shared.range() == Range(low=-1.25, high=4.0)
    shared(torch.tensor([1.0, 9.0]), 1)  # the other site's first batch; 0 is in every range
    assert shared.range() == Range(low=-1.25, high=9.0)


def test_nothing_is_rounded_during_the_delay_nor_observed_after_the_freeze() -> None:
    shared = SharedRange(1, Schedule(delay=2, freeze=3)).train()
    x = torch.rand(50)
    assert [torch.equal(shared(x, 0), x) for _ in range(4)] == [True, True, False, False]
    before = shared.range()
    shared(x * 100, 0)
    assert shared.range() == before
    shared.eval()(x * 100, 0)
    assert shared.range() == before
    assert shared.batches.tolist() == [5]


def test_an_activation_is_rounded_to_the_grid_of_its_range() -> None:
    shared = SharedRange(1, Schedule()).train()
    x = torch.randn(50) + 1.0
    scale, zero_point = Range(low=x.min().item(), high=x.max().item()).asymmetric(-128, 127)
    expected = ((x.double() / scale).round() + zero_point).clamp(-128, 127)
    expected = (expected - zero_point) * scale
    torch.testing.assert_close(shared(x, 0).double(), expected, rtol=0, atol=1e-6)


def test_an_activations_gradient_stops_only_out_of_range() -> None:
    shared = SharedRange(1, Schedule(freeze=1)).train()
    shared(torch.tensor([-1.0, 2.0]), 0)
    x = torch.tensor([-5.0, -0.9, 0.0, 1.9, 5.0], requires_grad=True)
    shared(x, 0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_activation_that_explodes_is_named(value: float) -> None:
    shared = SharedRange(1, Schedule()).train()
    x: Tensor = torch.tensor([0.0, value])
    with pytest.raises(TrainingError, match=r"an activation became .* in batch 1; train with a"):
        shared(x, 0)
