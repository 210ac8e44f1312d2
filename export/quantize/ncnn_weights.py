"""A layer's weights in ncnn's integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundspeed.errors import ExportError
from groundspeed.export.quantize.ncnn_grids import Grid
from groundspeed.quantization import LEAST_SCALE, weight_scales
from groundspeed.runtimes.ncnn_bin import Blob
from groundspeed.runtimes.ncnn_param import Layer


def in_integers(
    layer: Layer, weight: Blob, input: Grid, *, per_channel: bool
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a layer's weight in integers, of shape (scales, values), and their inverse scales.

    Raises:
        ExportError: ncnn could not turn its sums back into real values.
    """
    # A group has one scale, even where it has several output channels.
    rows = layer.integer(7, 1) if layer.type == "ConvolutionDepthWise" else layer.integer(0)
    values = weight.values.astype(np.float32).reshape(rows, -1)
    inverses = _inverse_scales(layer, values, input, per_channel=per_channel)
    return _rounded(values * inverses[:, np.newaxis]), inverses


def _inverse_scales(
    layer: Layer, weight: NDArray[np.float32], input: Grid, *, per_channel: bool
) -> NDArray[np.float32]:
    """Return the inverse scales of a weight, of shape (rows, values).

    Raises:
        ExportError: ncnn could not turn its sums back into real values.
    """
    # ncnn divides by the product of both inverses, which must not overflow. Weights that a scale of
    # this size rounds to 0 could not have added anything that float32 can hold.
    least = LEAST_SCALE / input.step
    scales = np.maximum(weight_scales(weight, per_channel=per_channel).astype(np.float64), least)
    if (scales * input.step).max() > 1 / LEAST_SCALE:
        peak = max(-input.range.low, input.range.high)
        raise ExportError(
            f"{layer.name} takes values as large as {peak:.3g} and has "
            f"weights as large as {np.abs(weight).max():.3g}: float32 cannot hold their products; "
            "check the network and the calibration data"
        )
    return (1 / scales).astype(np.float32)


def _rounded(values: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return the nearest integers, halves away from zero as C's ``round`` has it."""
    wide = values.astype(np.float64)
    return np.clip(np.trunc(wide + np.copysign(0.5, wide)), -127, 127).astype(np.int8)
