"""ncnn in 8-bit integers: what ncnn2table and ncnn2int8 do, from ranges that are known already.

Convolutions and linear layers take float32, round it to integers by themselves, and give float32
again; one whose takers all are convolutions in integers hands on integers instead. All other layers
stay in floating point, and so does the file's interface.

ncnn writes a scale s as its inverse, the integers that 1.0 stands for: q = round(x / s), halves
away from zero, between -127 and 127 (src/layer/quantize.cpp).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import groundspeed
from groundspeed.artifact import File, Step
from groundspeed.errors import ArtifactError, ExportError
from groundspeed.export.quantize.ncnn_blobs import Blobs
from groundspeed.export.quantize.ncnn_grids import (
    Grid,
    bias_of,
    handing_on_mirrored,
    taking_mirrored,
)
from groundspeed.export.quantize.ncnn_groups import CAST, REAL, is_lost, with_real_values
from groundspeed.export.quantize.ncnn_pools import MIRRORED, with_mirrors
from groundspeed.export.quantize.ncnn_steps import Steps, integer_takers, slowed, with_all_bits
from groundspeed.export.quantize.ncnn_weights import in_integers
from groundspeed.export.quantize.ncnn_winograd import (
    is_without_winograd,
    may_overflow,
    without_winograd,
)
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization, Range
from groundspeed.runtimes import ncnn_bin
from groundspeed.runtimes.ncnn_bin import CHAINED, Blob, read_bin, write_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param, write_param

# Parameter 8 of a layer in integers, by how its weights' scales are given, and what is added to it
# when the layer hands on integers.
_SCALE_TERMS = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}
_HANDS_ON = 100


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
        blobs = Blobs(layers, ties, quantization.ranges)
        steps, reasons = _planned(layers, weights, ties, quantization, blobs)
        slow = slowed(layers, weights, steps, per_channel=quantization.per_channel)
        steps, pooled = with_all_bits(layers, blobs, steps, slow)
        made = [
            _in_integers(layer, read, steps[layer.name], per_channel=quantization.per_channel)
            if layer.name in steps
            else (layer, read)
            for layer, read in zip(layers, weights, strict=True)
        ]
        made = list(with_mirrors(with_real_values(made, _made_real(steps)), pooled))
        layers = tuple(layer for layer, _ in made)
        paths["param"].write_text(write_param(layers))
        paths["bin"].write_bytes(write_bin(read for _, read in made))
        return replace(
            written,
            files=tuple(File.of(role, path) for role, path in paths.items()),
            steps=(*written.steps, _step(layers, steps, reasons)),
        )


def _planned(
    layers: tuple[Layer, ...],
    weights: tuple[ncnn_bin.Blobs, ...],
    ties: Mapping[str, str],
    quantization: Quantization,
    blobs: Blobs,
) -> tuple[dict[str, Steps], dict[str, str]]:
    """Return the ranges of the layers in integers, and why the others with weights are not.

    Raises:
        ExportError: the weights of a layer cannot be written.
    """
    float_ops = quantization.float_ops or {}
    steps: dict[str, Steps] = {}
    reasons: dict[str, str] = {}
    # Backwards: what a layer hands on depends on those that take it.
    for layer, read in reversed(list(zip(layers, weights, strict=True))):
        if not read:
            continue
        input = blobs.range_of(layer.bottoms[0]) if layer.bottoms else None
        takers = blobs.takers_of(layer.tops[0])
        is_taken = layer.type in CHAINED and bool(integer_takers(takers, steps))
        hands_on = is_taken or (is_lost(layer) and None not in takers)
        output = blobs.range_of(layer.tops[0]) if hands_on else None
        reason = float_ops.get(ties.get(layer.tops[0], ""), "") or _impossible(layer, output)
        if reason or input is None:
            reasons[layer.name] = reason or "the range of its input is not known"
        else:
            if not all(np.isfinite(blob.values).all() for blob in read):
                raise ExportError(
                    f"the weights of {layer.name} hold NaN or infinity; repair the network"
                )
            grid = None if output is None else Grid(output)
            steps[layer.name] = Steps(Grid(input), grid, is_taken)
    return steps, reasons


def _impossible(layer: Layer, output: Range | None) -> str:
    """Return why ncnn cannot compute a layer in integers, "" if it can."""
    if layer.type not in _SCALE_TERMS:
        return f"ncnn computes {layer.type} in floating point only"
    if layer.type in CHAINED and layer.number(18) != 0:
        return "it is padded with something else than 0"
    if is_lost(layer) and output is None:
        return "on x86, ncnn loses what groups of 8 channels compute in integers"
    return ""


def _made_real(steps: Mapping[str, Steps]) -> dict[str, float]:
    """Return layer -> step of its integers, for those that no layer in integers takes."""
    return {
        name: each.output.step
        for name, each in steps.items()
        if each.output is not None and not each.is_taken
    }


def _in_integers(
    layer: Layer, blobs: ncnn_bin.Blobs, steps: Steps, *, per_channel: bool
) -> tuple[Layer, ncnn_bin.Blobs]:
    """Return a layer with integers for weights, and all its blobs."""
    weight, *biases = blobs
    bias = bias_of(layer, biases)
    integers, inverses = in_integers(layer, weight, steps.input, per_channel=per_channel)
    made, term = layer, _SCALE_TERMS[layer.type]
    scales = [inverses, steps.input.inverse]
    if steps.output is not None:
        term += _HANDS_ON
        scales.append(steps.output.inverse)
        if steps.output.zero:
            made, integers, bias = handing_on_mirrored(made, integers, bias, steps.output)
    if steps.input.zero:
        made, integers, bias = taking_mirrored(made, integers, bias, inverses, steps.input)
    made = made.replacing(8, term)
    if may_overflow(layer, integers, positive=steps.input.is_positive):
        made = without_winograd(made)
    offsets = [Blob(bias)] if made.integer(5) or biases else []
    return made, (Blob(integers.ravel(), tagged=True), *offsets, *map(Blob, scales))


def _step(
    layers: tuple[Layer, ...], steps: Mapping[str, Steps], reasons: Mapping[str, str]
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
    if pooled := [layer.bottoms[0] for layer in layers if layer.name.endswith(MIRRORED)]:
        notes.append(
            f"mirrored behind maximum pooling, to be rounded with all 8 bits: {', '.join(pooled)}"
        )
    masked = [layer.name for layer in layers if layer.name in steps and is_without_winograd(layer)]
    if masked:
        notes.append(
            f"without Winograd's method, whose 32-bit sums could overflow: {', '.join(masked)}"
        )
    return Step(name="quantize", by=f"groundspeed {groundspeed.__version__}", notes=tuple(notes))
