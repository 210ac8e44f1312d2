"""The first half of the planted faults, written blind.

Each follows from what its pattern's name promises and from what the engines are documented to fuse.
Whoever wrote them had not read the detectors, some of which existed already; the two patterns whose
detectors had been seen (unbalanced widths, threads) are therefore in the other half. What has
changed since is in the history of this file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from device_tests.host.deploy.feedback.planted.planting import (
    WIDTH,
    Planted,
    convolution,
    rectified,
)


def between(layer: nn.Module) -> nn.Sequential:
    """Return a layer between two convolutions."""
    return nn.Sequential(convolution(WIDTH, WIDTH), layer, convolution(WIDTH, WIDTH), nn.ReLU())


def plain() -> nn.Module:
    """Return the clean part that most twins are: what :func:`between` has, with a ReLU."""
    return between(nn.ReLU())


class Branches(nn.Module):
    """One convolution cut into four, each of a quarter of its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(rectified(convolution(WIDTH, WIDTH // 4)) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Scale(nn.Module):
    """Multiplies each channel by a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(WIDTH, 1, 1) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


class Residual(nn.Module):
    """Adds what came in to what two convolutions made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.block = plain()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(x)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(WIDTH, WIDTH // 4, 1)
        self.expand = nn.Conv2d(WIDTH // 4, WIDTH, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(self.pool(x)))))


class Shuffle(nn.Module):
    """Channel shuffle of four groups, spelled out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        return x.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)


class SwapHalves(nn.Module):
    """Puts the second half of the channels first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x[:, WIDTH // 2 :], x[:, : WIDTH // 2]), dim=1)


class Turn(nn.Module):
    """Exchanges height and width."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(2, 3).contiguous()


class Reflect(nn.Module):
    """Pads as no convolution can."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(WIDTH, WIDTH, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(F.pad(x, (1, 1, 1, 1), mode="reflect"))


class Sine(nn.Module):
    """An activation that has no kernel for integers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def grouped() -> nn.Module:
    """Return two convolutions of four groups; :func:`dense` has their MACs."""
    wide = 2 * WIDTH
    return rectified(
        convolution(WIDTH, wide, 1),
        convolution(wide, wide, groups=4),
        convolution(wide, wide, groups=4),
        convolution(wide, WIDTH, 1),
    )


def dense() -> nn.Module:
    """Return the same as :func:`grouped`, at half of the width and without groups."""
    return rectified(*(convolution(WIDTH, WIDTH, size) for size in (1, 3, 3, 1)))


def many_small() -> nn.Module:
    """Return 32 pointwise convolutions on maps of 2x2, and what leads there and back.

    On a desktop processor, ONNX Runtime takes 0.7 us to start such an op and 0.3 us to compute it.
    """
    return nn.Sequential(
        nn.AvgPool2d(16),
        rectified(*(convolution(WIDTH, WIDTH, 1) for _ in range(32))),
        nn.Upsample(scale_factor=16),
    )


def one_large() -> nn.Module:
    """Return one pointwise convolution on the whole map."""
    return rectified(convolution(WIDTH, WIDTH, 1))


def pooled(pool: nn.Module) -> nn.Sequential:
    """Return a pooling between two convolutions."""
    return nn.Sequential(
        rectified(convolution(WIDTH, WIDTH)), pool, rectified(convolution(WIDTH, WIDTH))
    )


def through(width: int) -> nn.Module:
    """Return two convolutions with this many channels between them."""
    return rectified(convolution(WIDTH, width), convolution(width, WIDTH))


def depthwise() -> nn.Module:
    """Return seven depthwise convolutions, which have the MACs of one that is pointwise."""
    return rectified(*(convolution(WIDTH, WIDTH, groups=WIDTH) for _ in range(7)))


FIRST_HALF = (
    Planted(
        name="silu",
        pattern="activation",
        modules=("planted.1",),
        fault=lambda: between(nn.SiLU()),
        twin=plain,
    ),
    Planted(
        name="hard_swish",
        pattern="activation",
        modules=("planted.1",),
        # ONNX Runtime's blocked convolutions compute it themselves, as its optimized graph shows.
        runtimes=("litert", "ncnn"),
        fault=lambda: between(nn.Hardswish()),
        twin=plain,
    ),
    Planted(
        name="four_groups",
        pattern="group convolution",
        modules=("planted.2", "planted.4"),
        fault=grouped,
        twin=dense,
    ),
    Planted(
        name="four_branches",
        pattern="parallel branches",
        modules=("planted",),
        fault=Branches,
        twin=lambda: rectified(convolution(WIDTH, WIDTH)),
    ),
    Planted(
        name="many_small",
        pattern="small ops",
        modules=("planted.1",),
        fault=many_small,
        twin=one_large,
    ),
    Planted(
        name="learned_scale",
        pattern="element-wise",
        modules=("planted.1.1",),
        # Written as ONNX, it is in the weights of the next convolution.
        runtimes=("litert", "ncnn"),
        fault=lambda: between(nn.Sequential(nn.ReLU(), Scale())),
        twin=plain,
    ),
    Planted(
        name="residual",
        pattern="element-wise",
        modules=("planted",),
        # ONNX Runtime's blocked convolutions add their second input themselves.
        runtimes=("litert", "ncnn"),
        fault=Residual,
        twin=plain,
    ),
    Planted(
        name="gate",
        pattern="squeeze and excitation",
        modules=("planted.1.1",),
        fault=lambda: between(nn.Sequential(nn.ReLU(), Gate())),
        twin=plain,
    ),
    Planted(
        name="shuffle",
        pattern="channel shuffle",
        modules=("planted.1.1",),
        fault=lambda: between(nn.Sequential(nn.ReLU(), Shuffle())),
        twin=plain,
    ),
    Planted(
        name="swapped_halves",
        pattern="data movement",
        modules=("planted.1.1",),
        fault=lambda: between(nn.Sequential(nn.ReLU(), SwapHalves())),
        twin=plain,
    ),
    Planted(
        name="turned_map",
        pattern="data movement",
        modules=("planted.1.1",),
        fault=lambda: between(nn.Sequential(nn.ReLU(), Turn())),
        twin=plain,
    ),
    Planted(
        name="reflected_border",
        pattern="data movement",
        modules=("planted.0",),
        fault=lambda: rectified(Reflect(), convolution(WIDTH, WIDTH)),
        twin=plain,
    ),
    Planted(
        name="unblocked_activation",
        pattern="layout conversion",
        modules=("planted",),
        # Its blocked layout knows ReLU and a few more, so ELU is fed from the plain one.
        runtimes=("onnxruntime",),
        fault=lambda: between(nn.ELU()),
        twin=plain,
    ),
    Planted(
        name="float_island",
        pattern="quantize borders",
        modules=("planted",),
        # XNNPACK makes a table of 256 sines, and ncnn quantizes in front of each layer anyway.
        runtimes=("onnxruntime",),
        precision="int8",
        fault=lambda: between(Sine()),
        twin=plain,
    ),
    Planted(
        name="padded_pool",
        pattern="slow path",
        modules=("planted.1",),
        # Padding with minus infinity is an op that XNNPACK does not take.
        runtimes=("litert",),
        fault=lambda: pooled(nn.MaxPool2d(3, stride=2, padding=1)),
        twin=lambda: pooled(nn.MaxPool2d(2)),
    ),
    Planted(
        name="odd_channels",
        pattern="channel alignment",
        modules=("planted",),
        fault=lambda: through(WIDTH + 1),
        twin=lambda: through(WIDTH),
    ),
    Planted(
        name="depthwise_chain",
        pattern="low intensity",
        modules=("planted",),
        size=64,
        fault=depthwise,
        twin=one_large,
    ),
)
