"""ncnn in 8-bit integers: what ncnn2table and ncnn2int8 do, from ranges that are known already.

Convolutions and linear layers take float32, round it to integers by themselves, and give float32
again; one whose takers all are convolutions in integers hands on integers instead. All other layers
stay in floating point, and so does the file's interface.

ncnn writes a scale s as its inverse, the integers that 1.0 stands for: q = round(x / s), halves
away from zero, between -127 and 127 (src/layer/quantize.cpp).
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import groundspeed
from groundspeed.artifact import File, Step
from groundspeed.errors import ArtifactError, ExportError
from groundspeed.export.quantize.ncnn_blobs import Blobs
from groundspeed.export.quantize.ncnn_groups import CAST, REAL, is_lost, with_real_values
from groundspeed.export.writer import Written
from groundspeed.quantization import LEAST_SCALE, Quantization, Range, weight_scales
from groundspeed.runtimes import ncnn_bin
from groundspeed.runtimes.ncnn_bin import Blob, read_bin, write_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param, write_param

# Parameter 8 of a layer in integers, by how its weights' scales are given, and what is added to it
# when the layer hands on integers.
_SCALE_TERMS = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}
_HANDS_ON = 100
_CHAINED = ("Convolution", "ConvolutionDepthWise")

# Winograd's method F(4x4, 3x3) in integers computes each sum times 576, in 32 bits; bit 6 of
# parameter 31 keeps a layer from it.
_WINOGRAD_FACTOR = 576
_FEATURE_MASK, _NO_WINOGRAD = 31, 1 << 6


@dataclass(frozen=True)
class _Steps:
    """The ranges that a layer's integers stand for.

    Attributes:
        input: of what it takes.
        output: of the integers that it hands on; None when it gives float32.
        is_taken: whether layers in integers take them; otherwise they are made real again.
    """

    input: Range
    output: Range | None
    is_taken: bool


class NcnnQuantizer:
    """Writes ``model.param`` and ``model.bin`` anew; see ``FileQuantizer``."""

    suffixes: tuple[str, ...] = (CAST, REAL)
    careful = None

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Replace both files; see ``FileQuantizer.quantize``."""
        paths = {file.role: folder / file.name for file in written.files}
        try:
            layers = read_param(paths["param"])
            weights = read_bin(paths["bin"], layers)
        except ArtifactError as error:
            raise ExportError(f"the ncnn file cannot be quantized: {error}") from error
        steps, reasons = _planned(layers, weights, ties, quantization)
        made = [
            _in_integers(layer, blobs, steps[layer.name], per_channel=quantization.per_channel)
            if layer.name in steps
            else (layer, blobs)
            for layer, blobs in zip(layers, weights, strict=True)
        ]
        made = list(with_real_values(made, _made_real(steps)))
        layers = tuple(layer for layer, _ in made)
        paths["param"].write_text(write_param(layers))
        paths["bin"].write_bytes(write_bin(blobs for _, blobs in made))
        return dataclasses.replace(
            written,
            files=tuple(File.of(role, path) for role, path in paths.items()),
            steps=(*written.steps, _step(layers, steps, reasons)),
        )


def _planned(
    layers: tuple[Layer, ...],
    weights: tuple[ncnn_bin.Blobs, ...],
    ties: Mapping[str, str],
    quantization: Quantization,
) -> tuple[dict[str, _Steps], dict[str, str]]:
    """Return the ranges of the layers in integers, and why the others with weights are not."""
    blobs = Blobs(layers, ties, quantization.ranges)
    float_ops = quantization.float_ops or {}
    steps: dict[str, _Steps] = {}
    reasons: dict[str, str] = {}
    # Backwards: what a layer hands on depends on those that take it.
    for layer, read in reversed(list(zip(layers, weights, strict=True))):
        if not read:
            continue
        input = blobs.range_of(layer.bottoms[0]) if layer.bottoms else None
        takers = blobs.takers_of(layer.tops[0])
        is_taken = layer.type in _CHAINED and all(
            taker and taker.type in _CHAINED and taker.name in steps for taker in takers
        )
        hands_on = is_taken or (is_lost(layer) and None not in takers)
        output = blobs.range_of(layer.tops[0]) if hands_on else None
        reason = float_ops.get(ties.get(layer.tops[0], ""), "") or _impossible(layer, output)
        if reason or input is None:
            reasons[layer.name] = reason or "the range of its input is not known"
        else:
            steps[layer.name] = _Steps(input, output, is_taken)
    return steps, reasons


def _impossible(layer: Layer, output: Range | None) -> str:
    """Return why ncnn cannot compute a layer in integers, "" if it can."""
    if layer.type not in _SCALE_TERMS:
        return f"ncnn computes {layer.type} in floating point only"
    if layer.type in _CHAINED and layer.number(18) != 0:
        return "it is padded with something else than 0"
    if is_lost(layer) and output is None:
        return "on x86, ncnn loses what groups of 8 channels compute in integers"
    return ""


def _made_real(steps: Mapping[str, _Steps]) -> dict[str, float]:
    """Return layer -> step of its integers, for those that no layer in integers takes."""
    return {
        name: each.output.symmetric()
        for name, each in steps.items()
        if each.output is not None and not each.is_taken
    }


def _in_integers(
    layer: Layer, blobs: ncnn_bin.Blobs, steps: _Steps, *, per_channel: bool
) -> tuple[Layer, ncnn_bin.Blobs]:
    """Return a layer with integers for weights, and all its blobs.

    Raises:
        ExportError: its weights or scales cannot be written.
    """
    if not all(np.isfinite(blob.values).all() for blob in blobs):
        raise ExportError(f"the weights of {layer.name} hold NaN or infinity; repair the network")
    weight, *bias = blobs
    # A group has one scale, even where it has several output channels.
    rows = layer.integer(7, 1) if layer.type == "ConvolutionDepthWise" else layer.integer(0)
    values = weight.values.astype(np.float32).reshape(rows, -1)
    inverses = _inverse_scales(layer, values, steps.input, per_channel=per_channel)
    integers = _rounded(values * inverses[:, np.newaxis])
    term = _SCALE_TERMS[layer.type]
    scales = [inverses, _inverse(steps.input)]
    if steps.output is not None:
        term += _HANDS_ON
        scales.append(_inverse(steps.output))
    made = layer.replacing(8, term)
    if _may_overflow(layer, integers, steps.input):
        made = made.replacing(_FEATURE_MASK, layer.integer(_FEATURE_MASK) | _NO_WINOGRAD)
    return made, (Blob(integers.ravel(), tagged=True), *bias, *map(Blob, scales))


def _inverse(range: Range) -> NDArray[np.float32]:
    return np.array([1 / range.symmetric()], np.float32)


def _inverse_scales(
    layer: Layer, weight: NDArray[np.float32], input: Range, *, per_channel: bool
) -> NDArray[np.float32]:
    """Return the inverse scales of a weight, of shape (rows, values).

    Raises:
        ExportError: ncnn could not turn its sums back into real values.
    """
    # ncnn divides by the product of both inverses, which must not overflow. Weights that a scale of
    # this size rounds to 0 could not have added anything that float32 can hold.
    least = LEAST_SCALE / input.symmetric()
    scales = np.maximum(weight_scales(weight, per_channel=per_channel).astype(np.float64), least)
    if (scales * input.symmetric()).max() > 1 / LEAST_SCALE:
        raise ExportError(
            f"{layer.name} takes values as large as {max(-input.low, input.high):.3g} and has "
            f"weights as large as {np.abs(weight).max():.3g}: float32 cannot hold their products; "
            "check the network and the calibration data"
        )
    return (1 / scales).astype(np.float32)


def _rounded(values: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return the nearest integers, halves away from zero as C's ``round`` has it."""
    wide = values.astype(np.float64)
    return np.clip(np.trunc(wide + np.copysign(0.5, wide)), -127, 127).astype(np.int8)


def _may_overflow(layer: Layer, integers: NDArray[np.int8], input: Range) -> bool:
    """Return whether Winograd's method could compute wrong sums for a layer.

    ncnn2table gives such layers 6-bit weights instead, and proves nothing. A blob that calibration
    saw no negative value in is the output of a ReLU.
    """
    width, stride, dilation = layer.integer(1), layer.integer(3, 1), layer.integer(2, 1)
    window = (width, layer.integer(11, width), stride, layer.integer(13, stride))
    if (*window, dilation, layer.integer(12, dilation)) != (3, 3, 1, 1, 1, 1):
        return False
    channels = integers.reshape(layer.integer(0), -1).astype(np.int64)
    sums = np.stack([channels.clip(min=0).sum(1), -channels.clip(max=0).sum(1)])
    largest = 127 * (sums.max() if input.low == 0 else sums.sum(0).max())
    return bool(_WINOGRAD_FACTOR * largest > np.iinfo(np.int32).max)


def _step(
    layers: tuple[Layer, ...], steps: Mapping[str, _Steps], reasons: Mapping[str, str]
) -> Step:
    """Return what was done, and what was not, by reason."""
    handing_on = sum(each.output is not None and each.is_taken for each in steps.values())
    notes = [
        f"{len(steps)} of {len(steps) + len(reasons)} layers with weights compute in 8-bit "
        f"integers, {handing_on} of them hand integers on to the next"
    ]
    by_reason: dict[str, list[str]] = defaultdict(list)
    for layer in layers:
        if layer.name in reasons:
            by_reason[reasons[layer.name]].append(layer.name)
    notes += [
        f"in floating point: {', '.join(names)}: {reason}" for reason, names in by_reason.items()
    ]
    if made_real := _made_real(steps):
        notes.append(
            "handing on integers that are made real again, because on x86 ncnn loses what groups "
            f"of 8 channels give otherwise: {', '.join(reversed(made_real))}"
        )
    masked = [
        layer.name
        for layer in layers
        if layer.name in steps and layer.integer(_FEATURE_MASK) & _NO_WINOGRAD
    ]
    if masked:
        notes.append(
            f"without Winograd's method, whose 32-bit sums could overflow: {', '.join(masked)}"
        )
    return Step(name="quantize", by=f"groundspeed {groundspeed.__version__}", notes=tuple(notes))
