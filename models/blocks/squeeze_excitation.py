"""Squeeze-and-Excitation Networks, https://arxiv.org/abs/1709.01507, as MobileNetV3 uses it."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate in [0, 1] that is computed from all channels' means.

    The gate is a hard sigmoid, as in section 5.2 of the MobileNetV3 paper.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        # 1x1 convolutions instead of linear layers: no reshape on the way in and out.
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.ReLU()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C, H, W] times its gate [N, C, 1, 1]."""
        gate = self.gate(self.fc2(self.activation(self.fc1(self.pool(x)))))
        return cast(Tensor, x * gate)
