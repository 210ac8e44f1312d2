"""The networks of the four experiments of the ShuffleNet V2 paper.

Section 2 and tables 1 to 4 of https://arxiv.org/abs/1807.11164: ten equal blocks stacked, with no
stem and no classifier, on maps of 56 x 56 that are as wide as the first layer. The networks of one
table have about equal MACs, and each goes one step further against a guideline. They belong to no
family of the zoo; their names for the command line are those of any callable:
``groundspeed.models.guideline_networks:group_convolutions:channels=64,groups=2``.

Where the paper is silent, this is the choice here:

* Batch normalization and ReLU follow every convolution, as in all units that the paper draws; in
  experiment 4 the last ReLU of a bottleneck stands behind the addition, as in ResNet.
* Parallel fragments all read the block's input, have the same number of channels, and are added
  up. With as many weights as one convolution of c channels, each of n fragments in parallel or in
  series has c / sqrt(n) channels, rounded; so the map is that much narrower throughout.
* The c of experiment 4 is what goes in and out of a bottleneck, and inside it is a quarter, as in
  ResNet. Were c the inside, the speeds that the paper printed for its phone would be beyond the
  processor's peak.
* Eight groups of 180 channels, which the paper prints for its phone, cannot be: there are 184. A
  number of channels that its groups do not divide is rounded up.
* There is no channel shuffle between group convolutions, for its cost is not what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from groundspeed.models.blocks.convolution import convolution
from groundspeed.models.initialization import initialize

BLOCKS = 10
SIZE = 56
QUARTER = 4  # a bottleneck is that many times narrower inside

Arrangement = Literal["series", "parallel"]
Made = tuple[nn.Sequential, Tensor]


def unbalanced_widths(
    *, first: int, second: int, blocks: int = BLOCKS, size: int = SIZE, batch: int = 1
) -> Made:
    """Return experiment 1 and its input: pointwise convolutions from c1 to c2 channels and back.

    Args:
        first: channels c1.
        second: channels c2.
        blocks: how many such pairs.
        size: height and width of all maps.
        batch: images at once.
    """
    layers = [
        layer
        for _ in range(blocks)
        for layer in (*convolution(first, second), *convolution(second, first))
    ]
    return _made(layers, (batch, first, size, size))


def group_convolutions(
    *, channels: int, groups: int, blocks: int = BLOCKS, size: int = SIZE, batch: int = 1
) -> Made:
    """Return experiment 2 and its input: pointwise group convolutions in a row.

    Args:
        channels: of all maps; rounded up to a multiple of ``groups``.
        groups: of all convolutions.
        blocks: how many such convolutions.
        size: height and width of all maps.
        batch: images at once.
    """
    width = channels + -channels % groups
    layers = [layer for _ in range(blocks) for layer in convolution(width, width, groups=groups)]
    return _made(layers, (batch, width, size, size))


def fragments(
    *,
    channels: int,
    count: int,
    arrangement: Arrangement = "series",
    blocks: int = BLOCKS,
    size: int = SIZE,
    batch: int = 1,
) -> Made:
    """Return experiment 3 and its input: each block is one pointwise convolution, or several.

    Args:
        channels: of a block that is one convolution.
        count: convolutions in a block, which together have as many weights as that one.
        arrangement: "series" or "parallel".
        blocks: how many such blocks.
        size: height and width of all maps.
        batch: images at once.
    """
    width = round(channels / math.sqrt(count))
    layers = [_block(width, count, arrangement) for _ in range(blocks)]
    return _made(layers, (batch, width, size, size))


def bottlenecks(
    *,
    channels: int,
    relu: bool = True,
    shortcut: bool = True,
    blocks: int = BLOCKS,
    size: int = SIZE,
    batch: int = 1,
) -> Made:
    """Return experiment 4 and its input: bottlenecks of ResNet, whole or stripped.

    Args:
        channels: of what goes in and out; four times as many as inside.
        relu: whether there are ReLUs.
        shortcut: whether a bottleneck's input is added to its output.
        blocks: how many such bottlenecks.
        size: height and width of all maps.
        batch: images at once.
    """
    layers = [Bottleneck(channels, relu=relu, shortcut=shortcut) for _ in range(blocks)]
    return _made(layers, (batch, channels, size, size))


class Parallel(nn.Module):
    """Branches that read the same map and are added up."""

    def __init__(self, branches: Iterable[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C, H, W] of the same."""
        first, *others = (branch(x) for branch in self.branches)
        for other in others:
            first = first + other
        assert isinstance(first, Tensor)
        return first


class Bottleneck(nn.Module):
    """1x1 down to a quarter, 3x3, 1x1 back, with or without what is no convolution."""

    def __init__(self, channels: int, *, relu: bool, shortcut: bool) -> None:
        super().__init__()
        inside = channels // QUARTER
        activation = nn.ReLU if relu else None
        self.layers = nn.Sequential(
            *convolution(channels, inside, activation=activation),
            *convolution(inside, inside, 3, activation=activation),
            *convolution(inside, channels, activation=None),
        )
        self.shortcut = shortcut
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C, H, W] of the same."""
        y = self.layers(x)
        y = self.relu(y + x if self.shortcut else y)
        assert isinstance(y, Tensor)
        return y


def _block(width: int, count: int, arrangement: Arrangement) -> nn.Module:
    each = [nn.Sequential(*convolution(width, width)) for _ in range(count)]
    if count == 1:
        return each[0]
    return Parallel(each) if arrangement == "parallel" else nn.Sequential(*each)


def _made(layers: Sequence[nn.Module], shape: tuple[int, ...]) -> Made:
    network = nn.Sequential(*layers).eval()
    # Otherwise the maps of so many layers without statistics would fade to nothing, and multiplying
    # numbers that are almost zero takes other times.
    initialize(network, shape)
    return network, torch.randn(shape)
