"""MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications.

https://arxiv.org/abs/1704.04861, table 1, with the width multiplier of section 3.3.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import convolution, depthwise
from groundspeed.models.family import Family

FAMILY = Family("mobilenet_v1")

# Output channels and stride of each depthwise separable convolution.
_LAYERS = (
    (64, 1),
    *((128, 2), (128, 1)),
    *((256, 2), (256, 1)),
    *((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)


class MobileNetV1(nn.Module):
    """A 3x3 stem, thirteen depthwise separable convolutions, and a classifier.

    Args:
        width: factor on all channel counts.
        num_classes: classes of the classifier.
    """

    def __init__(self, width: float, num_classes: int) -> None:
        super().__init__()
        channels = int(32 * width)
        layers: list[nn.Module] = [nn.Sequential(*convolution(3, channels, 3, stride=2))]
        for full, stride in _LAYERS:
            channels_out = int(full * width)
            layers.append(nn.Sequential(*depthwise(channels, stride=stride)))
            layers.append(nn.Sequential(*convolution(channels, channels_out)))
            channels = channels_out
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        return cast(Tensor, self.fc(torch.flatten(self.avgpool(self.features(x)), 1)))


@FAMILY.network
def mobilenet_v1_x1_0(*, num_classes: int = 1000) -> MobileNetV1:
    """Full width: 569 M MACs in the paper."""
    return MobileNetV1(1.0, num_classes)


@FAMILY.network
def mobilenet_v1_x0_5(*, num_classes: int = 1000) -> MobileNetV1:
    """Half the channels: 149 M MACs in the paper."""
    return MobileNetV1(0.5, num_classes)


@FAMILY.network
def mobilenet_v1_x0_25(*, num_classes: int = 1000) -> MobileNetV1:
    """A quarter of the channels: 41 M MACs in the paper."""
    return MobileNetV1(0.25, num_classes)
