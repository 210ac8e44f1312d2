"""ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices.

https://arxiv.org/abs/1707.01083, table 1 and figure 2. The authors' later code,
https://github.com/megvii-model/ShuffleNet-Series, leaves out the bias of the classifier (option
``head_bias=False``) and shuffles after the depthwise convolution, in the inverse order; here the
shuffle stands where the paper has it, so weights of that code do not fit.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import convolution, depthwise
from groundspeed.models.blocks.shuffle import channel_shuffle
from groundspeed.models.family import Family

FAMILY = Family("shufflenet_v1")


class ShuffleUnit(nn.Module):
    """Pointwise group convolution, shuffle, depthwise 3x3, pointwise group convolution.

    With stride 1 the input is added to the result (figure 2b); with stride 2 its 3x3 average is
    concatenated (figure 2c), so the convolutions make only the channels that are missing.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output; a quarter of them is the bottleneck.
        groups: groups of the pointwise convolutions.
        stride: 1 or 2.
        first_groups: groups of the first pointwise convolution.
    """

    def __init__(
        self, channels_in: int, channels_out: int, groups: int, stride: int, first_groups: int
    ) -> None:
        super().__init__()
        bottleneck = channels_out // 4
        made = channels_out if stride == 1 else channels_out - channels_in
        self.groups = groups
        self.compress = nn.Sequential(*convolution(channels_in, bottleneck, groups=first_groups))
        self.depthwise = nn.Sequential(*depthwise(bottleneck, stride=stride, activation=None))
        self.expand = nn.Sequential(*convolution(bottleneck, made, groups=groups, activation=None))
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, channels_out, H / stride, W / stride] of [N, channels_in, H, W]."""
        made = channel_shuffle(self.compress(x), self.groups)
        made = self.expand(self.depthwise(made))
        if self.shortcut is None:
            return cast(Tensor, self.activation(x + made))
        return cast(Tensor, self.activation(torch.cat([self.shortcut(x), made], 1)))


class ShuffleNetV1(nn.Module):
    """A 3x3 stem, three stages of shuffle units, and a classifier.

    Args:
        stem: channels of the stem.
        channels: channels of the first stage; they double with each stage.
        groups: groups of the pointwise convolutions.
        num_classes: classes of the classifier.
        head_bias: whether the classifier has a bias.
    """

    def __init__(
        self, stem: int, channels: int, groups: int, num_classes: int, head_bias: bool
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(3, stem, 3, stride=2))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        # The first pointwise convolution is not grouped: it has few channels to read.
        self.stage2 = _stage(stem, channels, groups, repeats=4, first_groups=1)
        self.stage3 = _stage(channels, 2 * channels, groups, repeats=8, first_groups=groups)
        self.stage4 = _stage(2 * channels, 4 * channels, groups, repeats=4, first_groups=groups)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * channels, num_classes, bias=head_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.stem(x)))))
        return cast(Tensor, self.fc(torch.flatten(self.avgpool(x), 1)))


def _stage(
    channels_in: int, channels_out: int, groups: int, repeats: int, first_groups: int
) -> nn.Sequential:
    rest = [ShuffleUnit(channels_out, channels_out, groups, 1, groups) for _ in range(repeats - 1)]
    return nn.Sequential(ShuffleUnit(channels_in, channels_out, groups, 2, first_groups), *rest)


@FAMILY.network
def shufflenet_v1_x1_0_g1(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Full width, no groups: 143 M MACs in the paper."""
    return ShuffleNetV1(24, 144, 1, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x1_0_g2(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Full width, 2 groups: 140 M MACs in the paper."""
    return ShuffleNetV1(24, 200, 2, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x1_0_g3(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Full width, 3 groups: 137 M MACs in the paper."""
    return ShuffleNetV1(24, 240, 3, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x1_0_g4(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Full width, 4 groups: 133 M MACs in the paper."""
    return ShuffleNetV1(24, 272, 4, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x1_0_g8(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Full width, 8 groups: 137 M MACs in the paper."""
    return ShuffleNetV1(24, 384, 8, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x0_25_g3(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """A quarter of the channels, 3 groups."""
    return ShuffleNetV1(6, 60, 3, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x0_5_g3(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Half the channels, 3 groups: 38 M MACs in the paper."""
    return ShuffleNetV1(12, 120, 3, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x0_5_g8(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Half the channels, 8 groups: 40 M MACs in the paper."""
    # 16 instead of 12 channels in the stem, as in the authors' code.
    return ShuffleNetV1(16, 192, 8, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x1_5_g3(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """1.5 times the channels, 3 groups: 292 M MACs in the paper."""
    # The stem stays at 24 channels, as in the authors' code.
    return ShuffleNetV1(24, 360, 3, num_classes, head_bias)


@FAMILY.network
def shufflenet_v1_x2_0_g3(*, num_classes: int = 1000, head_bias: bool = True) -> ShuffleNetV1:
    """Twice the channels, 3 groups: 524 M MACs in the paper."""
    return ShuffleNetV1(48, 480, 3, num_classes, head_bias)
