"""What ncnn's integers stand for, and how all 8 bits are used although its zero is always 0.

ncnn knows only q = x / step. Of a ReLU's values that leaves the negative half of the integers
unused. But what only convolutions in integers take may stand for anything that they can undo: a
layer hands on q = zero - x / step by negated weights and another bias, and its takers have negated
weights, and a bias that makes up for ``zero`` times the sum of their integers. Both are exact.

Borders are padded after rounding, with the integer that parameter 18 says, here ``zero``. It is why
values are mirrored rather than shifted: ncnn's packed padding on x86 gets negative integers wrong
(padding_x86.cpp combines sign-extended bytes with "or"), and 0.0 of a ReLU is 127 in the mirror.
Integers saturate between -127 and 127, so that the ends of the range do what ReLU and ReLU6 would.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundspeed.quantization import Range
from groundspeed.runtimes.ncnn_bin import PAD_VALUE, Blob
from groundspeed.runtimes.ncnn_param import Layer

_OUTPUTS, _HAS_BIAS, _ACTIVATION, _ACTIVATION_BOUNDS = 0, 5, 9, 10
_NONE, _RELU, _CLIP = 0, 1, 3
_PADS = (4, 14, 15, 16)

# A calibrated end of a range may be off from an activation's by the rounding of float32.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Grid:
    """The real values that 8-bit integers stand for.

    Attributes:
        range: the values.
        zero: the integer of 0.0; if it is not 0, integers are mirrored: x = (zero - q) * step.
    """

    range: Range
    zero: int = 0

    @property
    def step(self) -> float:
        """The distance between two integers."""
        return self.range.asymmetric(-127, 127)[0] if self.zero else self.range.symmetric()

    @property
    def inverse(self) -> NDArray[np.float32]:
        """The step as ncnn writes it: the integers that 1.0 is wide."""
        return np.array([1 / self.step], np.float32)

    @property
    def centre(self) -> float:
        """The real value of the integer 0, which values are mirrored at."""
        return self.zero / float(self.inverse[0])

    @property
    def is_positive(self) -> bool:
        """Whether no integer is negative, as in the output of a ReLU that is not mirrored."""
        return self.range.low == 0 and not self.zero


def mirrored(layer: Layer, output: Range, takers: Iterable[Layer]) -> Grid:
    """Return the grid that a layer hands on to ``takers``, mirrored where that is possible."""
    low, high = _bounds(layer)
    within = low <= output.low and output.high <= high * (1 + _ROUNDING)
    zero = -output.asymmetric(-127, 127)[1]
    if within and (zero > 0 or not any(_is_padded(taker) for taker in takers)):
        return Grid(output, zero)
    return Grid(output)


def handing_on_mirrored(
    layer: Layer, integers: NDArray[np.int8], bias: NDArray[np.float32], grid: Grid
) -> tuple[Layer, NDArray[np.int8], NDArray[np.float32]]:
    """Return a layer whose output is mirrored, with its integers and bias."""
    return (
        layer.replacing(_HAS_BIAS, 1).replacing(_ACTIVATION, _NONE),
        -integers,
        (grid.centre - bias).astype(np.float32),
    )


def taking_mirrored(
    layer: Layer,
    integers: NDArray[np.int8],
    bias: NDArray[np.float32],
    inverses: NDArray[np.float32],
    grid: Grid,
) -> tuple[Layer, NDArray[np.int8], NDArray[np.float32]]:
    """Return a layer whose input is mirrored, with its integers and bias.

    Args:
        layer: the layer.
        integers: its weight, of shape (scales, values).
        bias: its bias.
        inverses: the inverse scales of the weight.
        grid: of its input.
    """
    outputs = layer.integer(_OUTPUTS)
    sums = integers.reshape(outputs, -1).sum(axis=1, dtype=np.int64)
    wide = inverses.astype(np.float64).repeat(outputs // len(inverses))
    offset = grid.zero * sums / (wide * grid.inverse)
    padded = layer.replacing(_HAS_BIAS, 1).replacing(PAD_VALUE, float(grid.zero))
    return padded, -integers, (bias + offset).astype(np.float32)


def bias_of(layer: Layer, bias: Iterable[Blob]) -> NDArray[np.float32]:
    """Return a layer's bias, zeros if it has none."""
    for blob in bias:
        return blob.values.astype(np.float32)
    return np.zeros(layer.integer(_OUTPUTS), np.float32)


def _bounds(layer: Layer) -> tuple[float, float]:
    """Return the ends that a layer's activation clips at; NaN if it does something else."""
    kind = layer.integer(_ACTIVATION)
    if kind == _CLIP:
        low, high = layer.numbers(_ACTIVATION_BOUNDS)
        return low, high
    ends = {_NONE: (-math.inf, math.inf), _RELU: (0.0, math.inf)}
    return ends.get(kind, (math.nan, math.nan))


def _is_padded(layer: Layer) -> bool:
    return any(layer.integer(key) for key in _PADS)
