"""MobileNetV2: Inverted Residuals and Linear Bottlenecks, https://arxiv.org/abs/1801.04381.

Table 2; parameter names are torchvision's.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import convolution, depthwise
from groundspeed.models.family import Family

FAMILY = Family("mobilenet_v2")

# Expansion factor, output channels, repeats, stride of the first.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1x1 up, depthwise 3x3, linear 1x1 down; a shortcut where the shapes allow it."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        expanded = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(nn.Sequential(*convolution(channels_in, expanded, activation=nn.ReLU6)))
        layers.append(nn.Sequential(*depthwise(expanded, stride=stride, activation=nn.ReLU6)))
        layers += convolution(expanded, channels_out, activation=None)
        self.conv = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, channels_out, H / stride, W / stride] of [N, channels_in, H, W]."""
        return x + self.conv(x) if self.has_shortcut else cast(Tensor, self.conv(x))


class MobileNetV2(nn.Module):
    """A 3x3 stem, seventeen inverted residuals, a 1x1 convolution, and a classifier."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        stem = nn.Sequential(*convolution(3, 32, 3, stride=2, activation=nn.ReLU6))
        layers: list[nn.Module] = [stem]
        channels = 32
        for expansion, channels_out, repeats, stride in _STAGES:
            for i in range(repeats):
                step = stride if i == 0 else 1
                layers.append(InvertedResidual(channels, channels_out, step, expansion))
                channels = channels_out
        layers.append(nn.Sequential(*convolution(channels, 1280, activation=nn.ReLU6)))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        return cast(Tensor, self.classifier(torch.flatten(self.avgpool(self.features(x)), 1)))


@FAMILY.network
def mobilenet_v2(*, num_classes: int = 1000) -> MobileNetV2:
    """Full width: 300 M MACs in the paper."""
    return MobileNetV2(num_classes)
