"""MobileNetV2: Inverted Residuals and Linear Bottlenecks, https://arxiv.org/abs/1801.04381.

Table 2, with the width multiplier of section 4; parameter names are torchvision's.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import StemStride, convolution, depthwise
from groundspeed.models.blocks.width import round_channels
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
    """A 3x3 stem, seventeen inverted residuals, a 1x1 convolution, and a classifier.

    Args:
        width: factor on the channel counts, but for the last convolution's, which never has fewer
            than 1280 channels.
        num_classes: classes of the classifier.
        stem_stride: stride of the first convolution.
    """

    def __init__(self, width: float, num_classes: int, stem_stride: StemStride) -> None:
        super().__init__()
        channels, last = round_channels(32 * width), round_channels(1280 * max(1.0, width))
        stem = convolution(3, channels, 3, stride=stem_stride, activation=nn.ReLU6)
        layers: list[nn.Module] = [nn.Sequential(*stem)]
        for expansion, full, repeats, stride in _STAGES:
            channels_out = round_channels(full * width)
            for i in range(repeats):
                step = stride if i == 0 else 1
                layers.append(InvertedResidual(channels, channels_out, step, expansion))
                channels = channels_out
        layers.append(nn.Sequential(*convolution(channels, last, activation=nn.ReLU6)))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        return cast(Tensor, self.classifier(torch.flatten(self.avgpool(self.features(x)), 1)))


@FAMILY.network
def mobilenet_v2(*, num_classes: int = 1000, stem_stride: StemStride = 2) -> MobileNetV2:
    """Full width: 300 M MACs in the paper."""
    return MobileNetV2(1.0, num_classes, stem_stride)


@FAMILY.network
def mobilenet_v2_x0_5(*, num_classes: int = 1000, stem_stride: StemStride = 2) -> MobileNetV2:
    """Half the channels: 97 M MACs in the authors' table."""
    return MobileNetV2(0.5, num_classes, stem_stride)
