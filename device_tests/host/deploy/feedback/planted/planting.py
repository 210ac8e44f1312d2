"""What a planted fault is: a small network with one bad pattern in a known place, and a clean twin.

Around the place, all networks are the same: dense, balanced 3x3 convolutions of 64 channels with
ReLU, and a head, which no pattern has anything to say about. The twin does the same work without
the pattern, at about the same MACs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

WIDTH = 64
CLASSES = 16
ALL = ("onnxruntime", "litert", "ncnn")
PLACE = "planted"


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A bad pattern, where it stands, and what to compare with.

    Attributes:
        name: of the network.
        pattern: the name in the registry of what has to be found.
        modules: paths where it stands; a place inside such a module is right, too.
        runtimes: where it is a fault: what one runtime fuses is none there.
        fault: makes the part with the pattern, from ``WIDTH`` channels to as many.
        twin: makes the same part without it.
        precision, threads: how it has to run for the fault to show.
        size: height and width of the image.
    """

    name: str
    pattern: str
    modules: tuple[str, ...]
    runtimes: tuple[str, ...] = ALL
    fault: Callable[[], nn.Module]
    twin: Callable[[], nn.Module]
    precision: str = "fp32"
    threads: int = 1
    size: int = 32

    def images(self, count: int) -> tuple[tuple[torch.Tensor, ...], ...]:
        """Return inputs: one to export with, or some to calibrate on."""
        generator = torch.Generator().manual_seed(0)
        shape = (1, 3, self.size, self.size)
        return tuple((torch.randn(shape, generator=generator),) for _ in range(count))

    def holds(self, module: str) -> bool:
        """Return whether a place in the user's network is where the fault stands."""
        return any(module == each or module.startswith(f"{each}.") for each in self.modules)

    def missed(self, found: Sequence[str]) -> tuple[str, ...]:
        """Return the modules with the fault among which no found place is."""
        return tuple(
            each
            for each in self.modules
            if not any(place == each or place.startswith(f"{each}.") for place in found)
        )


def convolution(
    inputs: int, outputs: int, size: int = 3, *, groups: int = 1, stride: int = 1
) -> nn.Conv2d:
    """Return a convolution that keeps the map's size but for its stride."""
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, stride=stride)


def rectified(*layers: nn.Module) -> nn.Sequential:
    """Return layers with a ReLU after each."""
    return nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())))


class Framed(nn.Module):
    """A clean classifier around the place where a fault is planted."""

    def __init__(self, planted: nn.Module) -> None:
        super().__init__()
        self.stem = rectified(convolution(3, WIDTH))
        self.before = rectified(convolution(WIDTH, WIDTH))
        self.planted = planted
        self.after = rectified(convolution(WIDTH, WIDTH))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.after(self.planted(self.before(self.stem(x))))
        return self.head(self.pool(x).flatten(1))


def framed(part: Callable[[], nn.Module]) -> nn.Module:
    """Return the network with a part in it, its weights always the same random ones."""
    torch.manual_seed(0)
    return Framed(part()).eval()
