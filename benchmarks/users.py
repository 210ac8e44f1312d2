"""Two networks as users write them, with what the zoo has not: a segmenter and a detector."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

Example = tuple[nn.Module, torch.Tensor]


class Attention(nn.Module):
    """Self-attention over the positions of a small map, around which values pass by."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 3 * channels)
        self.back = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a map like ``x``."""
        n, c, h, w = x.shape
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        queries, keys, values = (
            each.reshape(n, h * w, self.heads, c // self.heads).transpose(1, 2)
            for each in self.project(tokens).chunk(3, dim=-1)
        )
        weights = (queries @ keys.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(dim=-1)
        mixed = (weights @ values).transpose(1, 2).reshape(n, h * w, c)
        return x + self.back(mixed).transpose(1, 2).reshape(n, c, h, w)


class Segmenter(nn.Module):
    """A small U-Net (Ronneberger et al., 2015) with attention where its map is smallest."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down = nn.ModuleList([_block(3, width), _block(width, 2 * width)])
        self.middle = nn.Sequential(_block(2 * width, 4 * width), Attention(4 * width, heads=4))
        self.up = nn.ModuleList([_block(6 * width, 2 * width), _block(3 * width, width)])
        self.head = nn.Conv2d(width, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores of 5 classes at each position."""
        passed = []
        for block in self.down:
            x = block(x)
            passed.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.middle(x)
        for block in self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, passed.pop()], dim=1))
        return self.head(x)


class Detector(nn.Module):
    """Boxes and scores from two maps of a pyramid, joined into one list."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(_block(3, 24, stride=2), _block(24, 48, stride=2))
        self.deep = nn.Sequential(_block(48, 96, stride=2), _block(96, 96))
        self.lateral = nn.Conv2d(96, 48, 1)
        self.boxes = nn.Conv2d(48, 4, 3, padding=1)
        self.scores = nn.Conv2d(48, classes, 3, padding=2, dilation=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return 4 numbers of a box and its scores, at each position of both maps."""
        fine = self.stem(x)
        coarse = self.lateral(self.deep(fine))
        fine = fine + functional.interpolate(
            coarse, scale_factor=2.0, mode="bilinear", align_corners=False
        )
        found = [
            torch.cat([self.boxes(each).sigmoid(), self.scores(each)], dim=1).flatten(2)
            for each in (fine, coarse)
        ]
        return torch.cat(found, dim=2).transpose(1, 2)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


def segmenter() -> Example:
    return Segmenter(), torch.randn(1, 3, 64, 64)


def detector() -> Example:
    return Detector(), torch.randn(1, 3, 128, 128)
