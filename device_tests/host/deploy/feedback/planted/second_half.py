"""The second half of the planted faults, written when the detectors could be read."""

from __future__ import annotations

import torch
from torch import nn

from device_tests.host.deploy.feedback.planted.first_half import (
    between,
    many_small,
    one_large,
    plain,
)
from device_tests.host.deploy.feedback.planted.planting import (
    WIDTH,
    Planted,
    convolution,
    rectified,
)


class Sum(nn.Module):
    """Adds what four convolutions beside each other make."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(rectified(convolution(WIDTH, WIDTH)) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two, three, four = (branch(x) for branch in self.branches)
        return (one + two) + (three + four)


class Product(nn.Module):
    """Multiplies what two convolutions make, one of them as a gate for each value."""

    def __init__(self) -> None:
        super().__init__()
        self.value = convolution(WIDTH, WIDTH)
        self.gate = convolution(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


class HardGate(nn.Module):
    """Squeeze and excitation as in MobileNetV3, with the spatial mean spelled out."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(WIDTH, WIDTH // 4, 1)
        self.expand = nn.Conv2d(WIDTH // 4, WIDTH, 1)
        self.limit = nn.Hardsigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.reduce(x.mean((2, 3), keepdim=True))
        return x * self.limit(self.expand(torch.relu(gate)))


class Halves(nn.Module):
    """ShuffleNet V2's unit without its depthwise layer: split, convolve one half, join, shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.convolved = rectified(convolution(WIDTH // 2, WIDTH // 2))
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passed, convolved = x.chunk(2, dim=1)
        return self.shuffle(torch.cat((passed, self.convolved(convolved)), dim=1))


class Softsign(nn.Module):
    """Divides by a map, which no table can stand for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (1 + x.abs())


class RunningSum(nn.Module):
    """Adds up along each row, which TFLite does with floating-point numbers alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cumsum(x, dim=3) / x.shape[3]


class Rolled(nn.Module):
    """Shifts the map by a row and a column, which cuts and joins it twice."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat((x[:, :, 1:], x[:, :, :1]), dim=2)
        return torch.cat((x[:, :, :, 1:], x[:, :, :, :1]), dim=3)


def there_and_back(width: int, times: int) -> nn.Module:
    """Return pointwise convolutions from the frame's width to another and back."""
    return rectified(
        *(
            convolution(*widths, 1)
            for _ in range(times)
            for widths in ((WIDTH, width), (width, WIDTH))
        )
    )


def grouped_pointwise() -> nn.Module:
    """Return pointwise convolutions of eight groups, as in ShuffleNet; see :func:`pointwise`."""
    wide = 2 * WIDTH
    inside = (convolution(wide, wide, 1, groups=8) for _ in range(4))
    return rectified(convolution(WIDTH, wide, 1), *inside, convolution(wide, WIDTH, 1))


def pointwise(times: int) -> nn.Module:
    """Return dense pointwise convolutions of the frame's width."""
    return rectified(*(convolution(WIDTH, WIDTH, 1) for _ in range(times)))


def gathered() -> nn.Module:
    """Return an enlargement by a transposed convolution."""
    return nn.Sequential(
        rectified(convolution(WIDTH, WIDTH, stride=2)),
        nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2),
        nn.ReLU(),
    )


def enlarged() -> nn.Module:
    """Return the same by repeating values, and a convolution of the same MACs."""
    return nn.Sequential(
        rectified(convolution(WIDTH, WIDTH, stride=2)),
        nn.Upsample(scale_factor=2),
        rectified(convolution(WIDTH, WIDTH, 1)),
    )


SECOND_HALF = (
    Planted(
        name="wide_expansion",
        pattern="unbalanced widths",
        modules=("planted.0", "planted.2"),
        fault=lambda: there_and_back(8 * WIDTH, 1),
        twin=lambda: pointwise(16),
    ),
    Planted(
        name="narrow_waist",
        pattern="unbalanced widths",
        modules=tuple(f"planted.{number}" for number in range(0, 16, 2)),
        fault=lambda: there_and_back(WIDTH // 8, 4),
        twin=lambda: pointwise(1),
    ),
    Planted(
        name="grouped_pointwise",
        pattern="group convolution",
        modules=("planted.2", "planted.4", "planted.6", "planted.8"),
        fault=grouped_pointwise,
        twin=lambda: pointwise(6),
    ),
    Planted(
        name="summed_branches",
        pattern="parallel branches",
        modules=("planted",),
        fault=Sum,
        twin=lambda: rectified(convolution(WIDTH, 2 * WIDTH), convolution(2 * WIDTH, WIDTH)),
    ),
    Planted(
        name="too_small_for_two",
        pattern="threads",
        modules=("planted.1",),
        threads=2,
        fault=many_small,
        twin=one_large,
    ),
    Planted(
        name="gelu",
        pattern="activation",
        modules=("planted.1",),
        fault=lambda: between(nn.GELU()),
        twin=plain,
    ),
    Planted(
        name="gated_product",
        pattern="element-wise",
        modules=("planted",),
        fault=Product,
        twin=lambda: rectified(convolution(WIDTH, WIDTH), convolution(WIDTH, WIDTH)),
    ),
    Planted(
        name="hard_gate",
        pattern="squeeze and excitation",
        modules=("planted.1.1",),
        fault=lambda: between(nn.Sequential(nn.ReLU(), HardGate())),
        twin=plain,
    ),
    Planted(
        name="shuffled_halves",
        pattern="channel shuffle",
        modules=("planted.shuffle",),
        fault=Halves,
        twin=lambda: pointwise(2),
    ),
    Planted(
        name="rolled_map",
        pattern="data movement",
        modules=("planted.1.1",),
        fault=lambda: between(nn.Sequential(nn.ReLU(), Rolled())),
        twin=plain,
    ),
    Planted(
        name="division",
        pattern="quantize borders",
        modules=("planted",),
        # LiteRT divides integers.
        runtimes=("onnxruntime",),
        precision="int8",
        fault=lambda: between(Softsign()),
        twin=plain,
    ),
    Planted(
        name="running_sum",
        pattern="quantize borders",
        modules=("planted",),
        runtimes=("litert",),
        precision="int8",
        fault=lambda: between(RunningSum()),
        twin=plain,
    ),
    Planted(
        name="transposed_convolution",
        pattern="slow path",
        modules=("planted.1",),
        # Its blocked layout has no transposed convolutions.
        runtimes=("onnxruntime",),
        fault=gathered,
        twin=enlarged,
    ),
    Planted(
        name="one_channel",
        pattern="low intensity",
        modules=("planted",),
        fault=lambda: there_and_back(1, 1),
        twin=one_large,
    ),
)
