"""Random weights under which a network behaves like a trained one, in scale.

With batch statistics that fit nothing, the activations of a deep random network vanish or explode,
and a comparison of two such outputs proves nothing. So each batch normalization gets the scale of
what really flows into it, layer by layer as in section 3 of All You Need Is a Good Init,
https://arxiv.org/abs/1511.06422, while its four parameters stay uneven across channels: a fold that
drops or swaps one of them changes the output.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd


def initialize(module: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Draw all weights of a network in evaluation mode from torch's global generator.

    Args:
        module: the network.
        input_shape: shape of one input, which is run to see the scale of the activations.
    """
    for layer in module.modules():
        if isinstance(layer, _ConvNd | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.1)
        elif isinstance(layer, _BatchNorm) and layer.affine:
            nn.init.uniform_(layer.weight, 0.75, 1.25)
            nn.init.normal_(layer.bias, std=0.25)
    with torch.no_grad():
        _scale_statistics(module, torch.randn(input_shape))


def _scale_statistics(module: nn.Module, x: Tensor) -> None:
    """Run ``x`` and give each batch normalization statistics for what it meets."""
    handles = [
        layer.register_forward_pre_hook(_set_statistics)
        for layer in module.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    module(x)
    for handle in handles:
        handle.remove()


def _set_statistics(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    assert isinstance(layer, _BatchNorm)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    # Only a power of two is taken from the data: the last bits of a measured variance differ with
    # the machine and its number of threads, and equal seeds should give equal weights anywhere.
    exponent = round(math.log2(max(inputs[0].var(correction=0).item(), 2.0**-20)))
    nn.init.uniform_(layer.running_var, 0.75, 1.25)
    nn.init.normal_(layer.running_mean, std=0.25)
    layer.running_var.mul_(2.0**exponent)
    layer.running_mean.mul_(2.0 ** (exponent / 2))
