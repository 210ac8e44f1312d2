"""Searching for MobileNetV3, https://arxiv.org/abs/1905.02244, tables 1 and 2.

Parameter names are torchvision's.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import convolution, depthwise
from groundspeed.models.blocks.squeeze_excitation import SqueezeExcitation
from groundspeed.models.blocks.width import round_channels
from groundspeed.models.family import Family

FAMILY = Family("mobilenet_v3")

_EPSILON = 1e-3  # of all normalizations, as in the authors' TensorFlow


class Row(NamedTuple):
    """A row of the paper's tables: one block."""

    kernel: int
    expanded: int
    channels_out: int
    excited: bool
    activation: type[nn.Module]
    stride: int


_RE, _HS = nn.ReLU, nn.Hardswish

_LARGE = (
    Row(3, 16, 16, False, _RE, 1),
    Row(3, 64, 24, False, _RE, 2),
    Row(3, 72, 24, False, _RE, 1),
    Row(5, 72, 40, True, _RE, 2),
    Row(5, 120, 40, True, _RE, 1),
    Row(5, 120, 40, True, _RE, 1),
    Row(3, 240, 80, False, _HS, 2),
    Row(3, 200, 80, False, _HS, 1),
    Row(3, 184, 80, False, _HS, 1),
    Row(3, 184, 80, False, _HS, 1),
    Row(3, 480, 112, True, _HS, 1),
    Row(3, 672, 112, True, _HS, 1),
    Row(5, 672, 160, True, _HS, 2),
    Row(5, 960, 160, True, _HS, 1),
    Row(5, 960, 160, True, _HS, 1),
)

_SMALL = (
    Row(3, 16, 16, True, _RE, 2),
    Row(3, 72, 24, False, _RE, 2),
    Row(3, 88, 24, False, _RE, 1),
    Row(5, 96, 40, True, _HS, 2),
    Row(5, 240, 40, True, _HS, 1),
    Row(5, 240, 40, True, _HS, 1),
    Row(5, 120, 48, True, _HS, 1),
    Row(5, 144, 48, True, _HS, 1),
    Row(5, 288, 96, True, _HS, 2),
    Row(5, 576, 96, True, _HS, 1),
    Row(5, 576, 96, True, _HS, 1),
)


class InvertedResidual(nn.Module):
    """MobileNetV2's block with the kernel, gate and activation of its row."""

    def __init__(self, channels_in: int, row: Row) -> None:
        super().__init__()
        kind, expanded = row.activation, row.expanded
        layers: list[nn.Module] = []
        if expanded != channels_in:
            expand = convolution(channels_in, expanded, activation=kind, epsilon=_EPSILON)
            layers.append(nn.Sequential(*expand))
        filters = depthwise(
            expanded, row.kernel, stride=row.stride, activation=kind, epsilon=_EPSILON
        )
        layers.append(nn.Sequential(*filters))
        if row.excited:
            layers.append(SqueezeExcitation(expanded, round_channels(expanded / 4)))
        project = convolution(expanded, row.channels_out, activation=None, epsilon=_EPSILON)
        layers.append(nn.Sequential(*project))
        self.block = nn.Sequential(*layers)
        self.has_shortcut = row.stride == 1 and channels_in == row.channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, channels_out, H / stride, W / stride] of [N, channels_in, H, W]."""
        return x + self.block(x) if self.has_shortcut else cast(Tensor, self.block(x))


class MobileNetV3(nn.Module):
    """A 3x3 stem, the rows of one table, a 1x1 convolution, and a classifier of two layers.

    Args:
        rows: the blocks.
        hidden: features between the two layers of the classifier.
        num_classes: classes of the classifier.
    """

    def __init__(self, rows: tuple[Row, ...], hidden: int, num_classes: int) -> None:
        super().__init__()
        channels = 16
        stem = convolution(3, channels, 3, stride=2, activation=_HS, epsilon=_EPSILON)
        layers: list[nn.Module] = [nn.Sequential(*stem)]
        for row in rows:
            layers.append(InvertedResidual(channels, row))
            channels = row.channels_out
        last = convolution(channels, 6 * channels, activation=_HS, epsilon=_EPSILON)
        self.features = nn.Sequential(*layers, nn.Sequential(*last))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * channels, hidden),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        return cast(Tensor, self.classifier(torch.flatten(self.avgpool(self.features(x)), 1)))


@FAMILY.network
def mobilenet_v3_large(*, num_classes: int = 1000) -> MobileNetV3:
    """The large one: 219 M MACs in the paper."""
    return MobileNetV3(_LARGE, 1280, num_classes)


@FAMILY.network
def mobilenet_v3_small(*, num_classes: int = 1000) -> MobileNetV3:
    """The small one: 56 M MACs in the paper."""
    return MobileNetV3(_SMALL, 1024, num_classes)
