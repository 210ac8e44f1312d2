"""How real values become integers: the scheme that every format shares, and a record of its use.

A tensor is stored as integers q that stand for the real values ``scale * (q - zero_point)``
(Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", equation 1). Weights are symmetric, their zero point is 0;
activations have one range for the whole tensor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Below this a scale, or the product of two, is no normal float32 any more.
LEAST_SCALE = float(np.finfo(np.float32).tiny)

# On MobileNetV2 with ImageNet weights it left 3.6 dB more of the outputs than min-max.
DEFAULT_OBSERVER = "percentile"


@dataclass(frozen=True, kw_only=True)
class Range:
    """The real values that a tensor's integers have to stand for; zero is always among them.

    Attributes:
        low: the least, at most 0.
        high: the largest, at least 0.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (-math.inf < self.low <= 0.0 <= self.high < math.inf):
            raise ValueError(f"[{self.low}, {self.high}] is no finite range around 0")

    @property
    def is_constant(self) -> bool:
        """Whether the tensor was zero throughout, so that any scale would do."""
        return self.high == self.low

    def asymmetric(self, least: int, largest: int) -> tuple[float, int]:
        """Return scale and zero point that spread this range over the integers between two.

        The zero point is rounded to an integer, so that 0.0 has an exact one: padding needs it.
        """
        if self.is_constant:
            return 1.0, least if least >= 0 else 0
        scale = max((self.high - self.low) / (largest - least), LEAST_SCALE)
        zero_point = round(least - self.low / scale)
        return scale, min(max(zero_point, least), largest)

    def symmetric(self, largest: int = 127) -> float:
        """Return the scale that puts the larger magnitude on the integer ``largest``."""
        peak = max(-self.low, self.high)
        return max(peak / largest, LEAST_SCALE) if peak else 1.0

    def joined(self, other: Range) -> Range:
        """Return the least range that holds both."""
        return Range(low=min(self.low, other.low), high=max(self.high, other.high))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What the activations of a network were seen to be.

    Attributes:
        observer: how ranges were chosen ("minmax", "entropy"), or "training" for ranges that a
            network learned in quantization-aware training.
        data: what the network was run on, in words ("/data/photos").
        samples: how many inputs it was run on.
        ranges: canonical op, or input of the network -> range of its values.
        notes: what is odd about the data or the ranges, a sentence each.
    """

    observer: str
    data: str
    samples: int
    ranges: dict[str, Range]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How a network is to be written with 8-bit integers; part of an artifact's manifest.

    Attributes:
        calibration: the ranges of activations; None where weights alone become integers.
        per_channel: whether each output channel of a weight has a scale of its own.
        float_ops: canonical op that computes in floating point -> the reason why.
        integer_ends: whether inputs and outputs are integers too, where the format leaves the
            choice.
    """

    calibration: Calibration | None = None
    per_channel: bool = True
    float_ops: dict[str, str] | None = None
    integer_ends: bool = False

    @property
    def ranges(self) -> Mapping[str, Range]:
        """The ranges of activations; none where weights alone become integers."""
        return self.calibration.ranges if self.calibration else {}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is quantized.

    Attributes:
        observer: how the ranges of activations are chosen, a name in the catalogue of observers.
        per_channel: whether each output channel of a weight has a scale of its own.
        integer_ends: whether inputs and outputs are integers too, where the format has the choice.
        equalize: whether the ranges of channels are balanced across layers first.
        correct_bias: whether the mean error that quantized weights make is taken off the biases.
        keep: layer, or module with all its layers, that stays in floating point -> the reason.
    """

    observer: str = DEFAULT_OBSERVER
    per_channel: bool = True
    integer_ends: bool = False
    equalize: bool = False
    correct_bias: bool = False
    keep: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """What quantization costs one layer, and what that layer's costs the network; simulated.

    Attributes:
        op: canonical op of the layer.
        module: the user's module that it stems from.
        sqnr_db: signal to quantization noise of the layer's values when all layers are quantized;
            decibels.
        output_sqnr_db: the same of the network's outputs when this layer alone is quantized.
    """

    op: str
    module: str
    sqnr_db: float
    output_sqnr_db: float


def sqnr_db(signal: float, noise: float) -> float:
    """Return the signal to quantization noise ratio of two sums of squares, in decibels."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def weight_scales(weight: NDArray[np.float32], *, per_channel: bool) -> NDArray[np.float32]:
    """Return the symmetric scale of each output channel: its largest magnitude stands at 127.

    Args:
        weight: of shape (output channels, ...).
        per_channel: False gives every channel the same scale.

    Returns:
        One scale for each output channel; 1 for a channel of zeros.
    """
    peaks = np.abs(weight).reshape(len(weight), -1).max(axis=1, initial=0.0)
    if not per_channel:
        peaks = np.full_like(peaks, peaks.max(initial=0.0))
    scales = np.maximum(peaks / 127, LEAST_SCALE)
    return np.where(peaks > 0, scales, 1.0).astype(np.float32)


def quantized(
    values: NDArray[np.float32],
    scale: NDArray[np.float32] | float,
    zero_point: int = 0,
    *,
    least: int = -127,
    largest: int = 127,
) -> NDArray[np.int32]:
    """Return the integers that stand for ``values``; what is out of their reach saturates.

    Ties round to even, as ONNX's QuantizeLinear and numpy do.
    """
    rounded = np.rint(values / scale) + zero_point
    integers: NDArray[np.int32] = np.clip(rounded, least, largest).astype(np.int32)
    return integers
