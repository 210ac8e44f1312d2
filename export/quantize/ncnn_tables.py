"""ncnn with weights in 8 bits and everything computed in floating point; no calibration is needed.

A weight is stored as a table of 256 real values and one byte for each weight that chooses from it,
as ncnn has been able to read from its beginnings (src/modelbin.cpp); it is float32 again once it is
loaded. The table need not be evenly spaced, so it is the one with the least square error that
Lloyd's method finds (Lloyd 1982, "Least squares quantization in PCM").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import groundspeed
from groundspeed.artifact import File, Step
from groundspeed.errors import ArtifactError, ExportError
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization
from groundspeed.runtimes.ncnn_bin import TABLE_SIZE, Blob, read_bin, write_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param

_ROUNDS = 50
_QUANTILES = 1025


class NcnnWeightQuantizer:
    """Writes ``model.bin`` anew; see ``FileQuantizer``."""

    suffixes: tuple[str, ...] = ()
    careful = None

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Replace the weights, except those of ``float_ops``; see ``FileQuantizer.quantize``."""
        paths = {file.role: folder / file.name for file in written.files}
        try:
            layers = read_param(paths["param"])
            weights = read_bin(paths["bin"], layers)
        except ArtifactError as error:
            raise ExportError(f"the ncnn file cannot be quantized: {error}") from error
        kept = quantization.float_ops or {}
        made = [
            blobs if ties.get(layer.tops[0]) in kept else tuple(_stored(layer, b) for b in blobs)
            for layer, blobs in zip(layers, weights, strict=True)
        ]
        paths["bin"].write_bytes(write_bin(made))
        tables = sum(blob.table is not None for blobs in made for blob in blobs)
        all_weights = sum(blob.tagged for blobs in made for blob in blobs)
        note = (
            f"{tables} of {all_weights} weights are stored as 256 values each and a byte that "
            "chooses from them; ncnn makes float32 of them when it opens the file"
        )
        step = Step(name="quantize", by=f"groundspeed {groundspeed.__version__}", notes=(note,))
        return dataclasses.replace(
            written,
            files=tuple(File.of(role, path) for role, path in paths.items()),
            steps=(*written.steps, step),
        )


def _stored(layer: Layer, blob: Blob) -> Blob:
    """Return a weight with a table, and everything else that is not made smaller by one as it is.

    Raises:
        ExportError: the weight holds NaN or infinity.
    """
    if not blob.tagged or blob.values.nbytes <= blob.values.size + 4 * TABLE_SIZE:
        return blob
    values = blob.values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ExportError(f"the weights of {layer.name} hold NaN or infinity; repair the network")
    table = best_table(values)
    between = (table[1:] + table[:-1]) / 2
    places = np.searchsorted(between, values).astype(np.uint8)
    return Blob(places, tagged=True, table=table)


def best_table(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 256 values in ascending order that stand for ``values`` with little square error."""
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    table = _spread(ordered)
    for _ in range(_ROUNDS):
        edges = np.searchsorted(ordered, (table[1:] + table[:-1]) / 2)
        edges = np.concatenate([[0], edges, [len(ordered)]])
        counts = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(counts, 1)
        better = np.where(counts > 0, means, table)
        if np.array_equal(better, table):
            break
        table = better
    return table.astype(np.float32)


def _spread(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 256 values as dense as the cube root of the density, the best there is for many.

    Panter and Dite 1951, "Quantization distortion in pulse-count modulation with nonuniform
    spacing of levels". Between two neighbours of evenly spread quantiles the density goes with the
    inverse of their distance, so that distance ** (2 / 3) is the share of values there.
    """
    quantiles = np.quantile(ordered, np.linspace(0, 1, _QUANTILES))
    reached = np.concatenate([[0.0], np.cumsum(np.diff(quantiles) ** (2 / 3))])
    wanted = (np.arange(TABLE_SIZE) + 0.5) / TABLE_SIZE * reached[-1]
    spread: NDArray[np.float64] = np.interp(wanted, reached, quantiles)
    return spread
