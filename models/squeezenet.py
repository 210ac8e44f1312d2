"""SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size.

https://arxiv.org/abs/1602.07360, table 1 (version 1.0); version 1.1 is the authors' own revision,
https://github.com/forresti/SqueezeNet. Parameter names are torchvision's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groundspeed.models.family import Family

FAMILY = Family("squeezenet")


class Fire(nn.Module):
    """Squeezes to few channels with 1x1, expands with 1x1 and 3x3 side by side."""

    def __init__(self, channels_in: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_in, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, 2 * expanded, H, W] of [N, channels_in, H, W]."""
        x = self.activation(self.squeeze(x))
        expanded = [self.activation(self.expand1x1(x)), self.activation(self.expand3x3(x))]
        return torch.cat(expanded, 1)


def _max_pool() -> nn.Module:
    # Rounding up keeps the last row and column, as in the authors' Caffe.
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class SqueezeNet(nn.Module):
    """A stem, fire modules with pooling between, and a convolution as the classifier."""

    def __init__(self, features: list[nn.Module], num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(512, num_classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        return torch.flatten(self.classifier(self.features(x)), 1)


@FAMILY.network
def squeezenet1_0(*, num_classes: int = 1000) -> SqueezeNet:
    """Version 1.0: a 7x7 stem, pooling late."""
    features = [
        *(nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(), _max_pool()),
        *(Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), _max_pool()),
        *(Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256)),
        *(_max_pool(), Fire(512, 64, 256)),
    ]
    return SqueezeNet(features, num_classes)


@FAMILY.network
def squeezenet1_1(*, num_classes: int = 1000) -> SqueezeNet:
    """Version 1.1: a 3x3 stem and earlier pooling, 2.3 times fewer MACs than 1.0."""
    features = [
        *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), _max_pool()),
        *(Fire(64, 16, 64), Fire(128, 16, 64), _max_pool()),
        *(Fire(128, 32, 128), Fire(256, 32, 128), _max_pool()),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ]
    return SqueezeNet(features, num_classes)
