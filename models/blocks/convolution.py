"""Convolution, batch normalization and activation: the one brick of every family here."""

from __future__ import annotations

from typing import Literal

from torch import nn

# Stride of a network's first convolution. The papers' 2 suits ImageNet's 224 x 224 pixels; with 1,
# images of 32 x 32 keep a map of some pixels up to the last stage.
StemStride = Literal[1, 2]


def convolution(
    channels_in: int,
    channels_out: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
    epsilon: float = 1e-5,
) -> list[nn.Module]:
    """Return convolution, batch normalization and (unless None) activation, in order.

    It is a list, so that a family decides whether the three stand in a ``Sequential`` of their
    own or side by side with others, which is how torchvision's parameter names come out.

    The convolution has no bias, since the normalization brings one, and pads by ``kernel // 2``,
    which keeps [N, C, H, W] at H x W for stride 1 and halves it (rounded up) for stride 2.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels_out, eps=epsilon),
    ]
    return layers if activation is None else [*layers, activation()]


def depthwise(
    channels: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
    epsilon: float = 1e-5,
) -> list[nn.Module]:
    """Return the same with one filter for each channel."""
    return convolution(
        channels,
        channels,
        kernel,
        stride=stride,
        groups=channels,
        activation=activation,
        epsilon=epsilon,
    )
