"""What goes into a file and what comes out of it, as real numbers with channels first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from groundspeed.artifact import TensorSpec
from groundspeed.quantization import quantized

Array = NDArray[np.generic]


def merged(opened: tuple[TensorSpec, ...], known: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Return the specs of an open file, in the manifest's order and with what only it knows.

    Args:
        opened: as the runtime tells them.
        known: as the manifest tells them; empty for a bare file.
    """
    by_name = {spec.name: spec for spec in opened}
    if {spec.name for spec in known} != set(by_name):
        return opened
    return tuple(_merged(by_name[spec.name], spec) for spec in known)


def _merged(opened: TensorSpec, known: TensorSpec) -> TensorSpec:
    scaled = known if opened.scale is None else opened
    return replace(
        opened,
        layout=known.layout or opened.layout,
        scale=scaled.scale,
        zero_point=scaled.zero_point,
    )


def canonical_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Return a tensor's shape with its channels first."""
    if spec.layout != "NHWC":
        return spec.shape
    batch, *sizes, channels = spec.shape
    return (batch, channels, *sizes)


def stored(values: Array, spec: TensorSpec) -> Array:
    """Return values, channels first, as the file takes them; integers without a scale stay so."""
    if spec.layout == "NHWC":
        values = np.moveaxis(values, 1, -1)
    if spec.scale is not None:
        bounds = np.iinfo(spec.dtype)
        values = quantized(
            values.astype(np.float32),
            spec.scale,
            spec.zero_point or 0,
            least=int(bounds.min),
            largest=int(bounds.max),
        )
    return np.ascontiguousarray(values.astype(spec.dtype))


def real(array: Array, spec: TensorSpec) -> Array:
    """Return what the file gave, channels first: the real values of integers that have a scale."""
    if spec.scale is not None:
        zero_point = np.float32(spec.zero_point or 0)
        array = (array.astype(np.float32) - zero_point) * np.float32(spec.scale)
    return np.moveaxis(array, -1, 1) if spec.layout == "NHWC" else array
