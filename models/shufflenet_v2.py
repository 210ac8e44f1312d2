"""ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design.

https://arxiv.org/abs/1807.11164, table 5 and figure 3.

The down-sampling unit has two readings, which differ in MACs and parameters, so each width is here
twice:

* ``shufflenet_v2_x1_0`` (``down="equal"``): both branches give half of the output channels. This
  is torchvision's; its weights load, since parameter names are torchvision's as well.
* ``shufflenet_v2_x1_0_paper`` (``down="paper"``): the left branch keeps the channels it was given
  and the right one makes the rest. This is the authors' code,
  https://github.com/megvii-model/ShuffleNet-Series, and the only reading in which the paper's
  figures come out (146, 299 and 591 M MACs at 1x, 1.5x and 2x). That code leaves out the bias of
  the classifier (``head_bias=False``), and shuffles at the start of a unit instead of its end.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import StemStride, convolution, depthwise
from groundspeed.models.blocks.shuffle import channel_shuffle
from groundspeed.models.family import Family

FAMILY = Family("shufflenet_v2")

Down = Literal["equal", "paper"]


def _main_branch(channels_in: int, width: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *convolution(channels_in, width),
        *depthwise(width, stride=stride, activation=None),
        *convolution(width, channels_out),
    )


class ShuffleUnit(nn.Module):
    """Stride 1 (figure 3c): half of the channels pass untouched, the others are convolved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = _main_branch(half, half, half, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, channels, H, W] of the same."""
        passing, convolved = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat([passing, self.branch2(convolved)], 1), 2)


class DownUnit(nn.Module):
    """Stride 2 (figure 3d): both branches read the whole input."""

    def __init__(self, channels_in: int, channels_out: int, down: Down) -> None:
        super().__init__()
        half = channels_out // 2
        left = half if down == "equal" else channels_in
        self.branch1 = nn.Sequential(
            *depthwise(channels_in, stride=2, activation=None), *convolution(channels_in, left)
        )
        self.branch2 = _main_branch(channels_in, half, channels_out - left, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, channels_out, H / 2, W / 2] of [N, channels_in, H, W]."""
        return channel_shuffle(torch.cat([self.branch1(x), self.branch2(x)], 1), 2)


class ShuffleNetV2(nn.Module):
    """A 3x3 stem, three stages of shuffle units, a 1x1 convolution, and a classifier.

    Args:
        channels: channels of the three stages and of the last convolution.
        down: what the down-sampling units look like, see above.
        num_classes: classes of the classifier.
        head_bias: whether the classifier has a bias.
        stem_stride: stride of the first convolution.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int],
        down: Down,
        num_classes: int,
        head_bias: bool,
        stem_stride: StemStride,
    ) -> None:
        super().__init__()
        stem, (first, second, third, last) = 24, channels
        self.conv1 = nn.Sequential(*convolution(3, stem, 3, stride=stem_stride))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = _stage(stem, first, 4, down)
        self.stage3 = _stage(first, second, 8, down)
        self.stage4 = _stage(second, third, 4, down)
        self.conv5 = nn.Sequential(*convolution(third, last))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(last, num_classes, bias=head_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of images [N, 3, H, W]."""
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return cast(Tensor, self.fc(torch.flatten(self.avgpool(self.conv5(x)), 1)))


def _stage(channels_in: int, channels_out: int, repeats: int, down: Down) -> nn.Sequential:
    rest = [ShuffleUnit(channels_out) for _ in range(repeats - 1)]
    return nn.Sequential(DownUnit(channels_in, channels_out, down), *rest)


_X0_5 = (48, 96, 192, 1024)
_X1_0 = (116, 232, 464, 1024)
_X1_5 = (176, 352, 704, 1024)
_X2_0 = (244, 488, 976, 2048)


@FAMILY.network
def shufflenet_v2_x0_5(
    *,
    down: Down = "equal",
    num_classes: int = 1000,
    head_bias: bool = True,
    stem_stride: StemStride = 2,
) -> ShuffleNetV2:
    """Half the channels; as in torchvision."""
    return ShuffleNetV2(_X0_5, down, num_classes, head_bias, stem_stride)


@FAMILY.network
def shufflenet_v2_x1_0(
    *,
    down: Down = "equal",
    num_classes: int = 1000,
    head_bias: bool = True,
    stem_stride: StemStride = 2,
) -> ShuffleNetV2:
    """Full width; as in torchvision."""
    return ShuffleNetV2(_X1_0, down, num_classes, head_bias, stem_stride)


@FAMILY.network
def shufflenet_v2_x1_5(
    *,
    down: Down = "equal",
    num_classes: int = 1000,
    head_bias: bool = True,
    stem_stride: StemStride = 2,
) -> ShuffleNetV2:
    """1.5 times the channels; as in torchvision."""
    return ShuffleNetV2(_X1_5, down, num_classes, head_bias, stem_stride)


@FAMILY.network
def shufflenet_v2_x2_0(
    *,
    down: Down = "equal",
    num_classes: int = 1000,
    head_bias: bool = True,
    stem_stride: StemStride = 2,
) -> ShuffleNetV2:
    """Twice the channels; as in torchvision."""
    return ShuffleNetV2(_X2_0, down, num_classes, head_bias, stem_stride)


@FAMILY.network
def shufflenet_v2_x0_5_paper(
    *, num_classes: int = 1000, head_bias: bool = True, stem_stride: StemStride = 2
) -> ShuffleNetV2:
    """Half the channels, down-sampling as in the paper: 41 M MACs there."""
    return ShuffleNetV2(_X0_5, "paper", num_classes, head_bias, stem_stride)


@FAMILY.network
def shufflenet_v2_x1_0_paper(
    *, num_classes: int = 1000, head_bias: bool = True, stem_stride: StemStride = 2
) -> ShuffleNetV2:
    """Full width, down-sampling as in the paper: 146 M MACs there."""
    return ShuffleNetV2(_X1_0, "paper", num_classes, head_bias, stem_stride)


@FAMILY.network
def shufflenet_v2_x1_5_paper(
    *, num_classes: int = 1000, head_bias: bool = True, stem_stride: StemStride = 2
) -> ShuffleNetV2:
    """1.5 times the channels, down-sampling as in the paper: 299 M MACs there."""
    return ShuffleNetV2(_X1_5, "paper", num_classes, head_bias, stem_stride)


@FAMILY.network
def shufflenet_v2_x2_0_paper(
    *, num_classes: int = 1000, head_bias: bool = True, stem_stride: StemStride = 2
) -> ShuffleNetV2:
    """Twice the channels, down-sampling as in the paper: 591 M MACs there."""
    return ShuffleNetV2(_X2_0, "paper", num_classes, head_bias, stem_stride)
