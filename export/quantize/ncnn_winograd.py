"""Winograd's method in ncnn's integers: where its sums could overflow, a layer goes without it.

F(4x4, 3x3) in integers computes each sum times 576, in 32 bits; bit 6 of parameter 31 keeps a layer
from it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundspeed.runtimes.ncnn_param import Layer

_FACTOR = 576
_FEATURE_MASK, _NO_WINOGRAD = 31, 1 << 6


def without_winograd(layer: Layer) -> Layer:
    """Return a layer that is not computed by Winograd's method."""
    return layer.replacing(_FEATURE_MASK, layer.integer(_FEATURE_MASK) | _NO_WINOGRAD)


def is_without_winograd(layer: Layer) -> bool:
    """Return whether a layer must not be computed by Winograd's method."""
    return bool(layer.integer(_FEATURE_MASK) & _NO_WINOGRAD)


def needs_positive(layer: Layer, integers: NDArray[np.int8]) -> bool:
    """Return whether negative integers alone would take Winograd's method from a layer."""
    return may_overflow(layer, integers, positive=False) and not may_overflow(
        layer, integers, positive=True
    )


def may_overflow(layer: Layer, integers: NDArray[np.int8], *, positive: bool) -> bool:
    """Return whether Winograd's method could compute wrong sums for a layer.

    ncnn2table gives such layers 6-bit weights instead, and proves nothing.

    Args:
        layer: the layer.
        integers: its weight.
        positive: whether no integer that it takes is negative.
    """
    width, stride, dilation = layer.integer(1), layer.integer(3, 1), layer.integer(2, 1)
    window = (width, layer.integer(11, width), stride, layer.integer(13, stride))
    if (*window, dilation, layer.integer(12, dilation)) != (3, 3, 1, 1, 1, 1):
        return False
    channels = integers.reshape(layer.integer(0), -1).astype(np.int64)
    sums = np.stack([channels.clip(min=0).sum(1), -channels.clip(max=0).sum(1)])
    largest = 127 * (sums.max() if positive else sums.sum(0).max())
    return bool(_FACTOR * largest > np.iinfo(np.int32).max)
