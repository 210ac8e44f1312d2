"""Networks as users bring them: small ones that the end-to-end tests name by file and callable."""

from __future__ import annotations

import torch
from torch import nn

Example = tuple[nn.Module, torch.Tensor]


class Unit(nn.Module):
    """ShuffleNet V2's basic unit: half of the channels pass, half are convolved, both shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False),
            nn.BatchNorm2d(half),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passed, convolved = x.chunk(2, dim=1)
        x = torch.cat((passed, self.branch(convolved)), dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Tiny(nn.Module):
    """A classifier of three convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.unit = Unit(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.unit(torch.relu(self.norm(self.stem(x))))
        return self.head(x.mean((2, 3)))


class Spectrum(nn.Module):
    """Holds an op that ONNX has and ncnn has not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft2(x).abs()


def tiny() -> Example:
    return Tiny(), torch.randn(1, 3, 32, 32)


def spectrum() -> Example:
    return Spectrum(), torch.randn(1, 3, 32, 32)
