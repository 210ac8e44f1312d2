"""Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385, table 1.

ResNet-50 has its stride in the 3x3 convolution of a block instead of the first 1x1 (known as
version 1.5), as torchvision has it. Parameter names are torchvision's.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import StemStride, convolution
from groundspeed.models.family import Family

FAMILY = Family("resnet")


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
    """Return a projection where the shapes differ, None where the identity will do."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(*convolution(channels_in, channels_out, 1, stride=stride, activation=None))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = convolution(channels_in, width, 3, stride=stride)
        self.conv2, self.bn2 = convolution(width, width, 3, activation=None)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, width, H / stride, W / stride] of [N, channels_in, H, W]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return cast(Tensor, self.relu(self.bn2(self.conv2(x)) + shortcut))


class Bottleneck(nn.Module):
    """1x1 down to ``width`` channels, 3x3, 1x1 up to four times as many, and a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels_out = width * self.expansion
        self.conv1, self.bn1, self.relu = convolution(channels_in, width)
        self.conv2, self.bn2 = convolution(width, width, 3, stride=stride, activation=None)
        self.conv3, self.bn3 = convolution(width, channels_out, activation=None)
        self.downsample = _shortcut(channels_in, channels_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, 4 * width, H / stride, W / stride] of [N, channels_in, H, W]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return cast(Tensor, self.relu(self.bn3(self.conv3(x)) + shortcut))


class ResNet(nn.Module):
    """A 7x7 stem, four stages of blocks, and a classifier.

    Args:
        block: the block that all stages are made of.
        repeats: blocks in each stage.
        num_classes: classes of the classifier.
        stem_stride: stride of the first convolution.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        repeats: tuple[int, int, int, int],
        num_classes: int,
        stem_stride: StemStride,
    ) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = convolution(3, 64, 7, stride=stem_stride)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        widths = (64, 128, 256, 512)
        inputs = (64, *(width * block.expansion for width in widths))
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(block, inputs[i], widths[i], repeats[i], stride=1 if i == 0 else 2)
            for i in range(4)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return cast(Tensor, self.fc(torch.flatten(self.avgpool(x), 1)))


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    channels_in: int,
    width: int,
    repeats: int,
    stride: int,
) -> nn.Sequential:
    channels_out = width * block.expansion
    rest = [block(channels_out, width, 1) for _ in range(repeats - 1)]
    return nn.Sequential(block(channels_in, width, stride), *rest)


@FAMILY.network
def resnet18(*, num_classes: int = 1000, stem_stride: StemStride = 2) -> ResNet:
    """18 layers of basic blocks."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, stem_stride)


@FAMILY.network
def resnet50(*, num_classes: int = 1000, stem_stride: StemStride = 2) -> ResNet:
    """50 layers of bottleneck blocks."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, stem_stride)
