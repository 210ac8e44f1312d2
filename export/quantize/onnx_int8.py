"""ONNX with integers: QuantizeLinear and DequantizeLinear ("QDQ") by ONNX Runtime's own quantizer.

ONNX Runtime and its like compute an op with integers when all that it reads comes out of a
DequantizeLinear and all that it gives goes into a QuantizeLinear; pairs that stand alone stay and
cost time. So whole regions are put between them, and since the ranges of what is only moved are
one, engines drop the pairs around shuffles, splits, concatenations and pooling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import TensorsData

from groundspeed.artifact import File, Step
from groundspeed.export.quantize.onnx_slim import slim
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization, Range

LAYERS = ("Conv", "Gemm", "MatMul")
CLAMPS = ("Relu", "Clip")
MOVES = (
    *("Concat", "Flatten", "MaxPool", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose"),
    "Unsqueeze",
)
ARITHMETIC = ("Add", "Mul", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid")


class OnnxQuantizer:
    """Quantizes ``model.onnx``; see ``FileQuantizer``. Weights are int8, activations uint8."""

    suffixes: tuple[str, ...] = ("_q", "_dq")
    careful: type[OnnxQuantizer] | None = None
    _weights = QuantType.QInt8

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Rewrite ``model.onnx``; see ``FileQuantizer.quantize``."""
        (file,) = written.files
        path = folder / file.name
        model = onnx.load(path)
        ranges = _ranges(model, ties, quantization.ranges)
        floats = _float_nodes(model, ties, ranges, quantization)
        quantizer = QDQQuantizer(
            model,
            per_channel=quantization.per_channel,
            reduce_range=False,
            weight_qType=self._weights,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(
                CalibrationMethod.MinMax,
                {
                    name: (np.float32(found.low), np.float32(found.high))
                    for name, found in ranges.items()
                },
            ),
            nodes_to_quantize=[],
            nodes_to_exclude=list(floats),
            op_types_to_quantize=[*LAYERS, *CLAMPS, *MOVES, *ARITHMETIC],
            extra_options={"WeightSymmetric": True},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        made = quantizer.model.model
        _keep_logits(made)
        slim(made)
        onnx.checker.check_model(made, full_check=True)
        onnx.save(made, path)
        step = Step(
            name="quantize",
            by=f"onnxruntime {version('onnxruntime')}",
            notes=(f"weights in {self._weights}", *_notes(made, floats)),
        )
        return replace(written, files=(File.of("model", path),), steps=(*written.steps, step))


class CarefulOnnxQuantizer(OnnxQuantizer):
    """Weights are uint8, with a zero point of 128: exact on every processor, and far slower.

    x86 processors without VNNI multiply uint8 by int8 with an instruction whose sums of two
    products saturate at 16 bits (VPMADDUBSW). Few networks come near that.
    """

    careful = None
    _weights = QuantType.QUInt8


OnnxQuantizer.careful = CarefulOnnxQuantizer


def _ranges(
    model: ModelProto, ties: Mapping[str, str], known: Mapping[str, Range]
) -> dict[str, Range]:
    """Return the range of every tensor of the file.

    An activation has no kernel of its own: integers clamp because their range ends where it does.
    So where it shares its range with wider tensors, through a concatenation, it keeps to its own;
    concatenations can rescale.
    """
    ranges = {name: known[op] for name, op in ties.items() if op in known}
    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        source, output = node.input[0], node.output[0]
        if node.op_type in CLAMPS and output in ranges:
            ranges[output] = _clamped(ranges[output], node, constants)
            # Fused into the layer before it, whose own values are never stored.
            ranges.setdefault(source, ranges[output])
        elif node.op_type in MOVES and node.op_type != "Concat" and source in ranges:
            ranges |= dict.fromkeys(node.output, ranges[source])
    return ranges


def _clamped(found: Range, node: NodeProto, constants: Mapping[str, TensorProto]) -> Range:
    """Return the part of a range that an activation lets through."""
    low, high = (0.0, found.high) if node.op_type == "Relu" else (found.low, found.high)
    if node.op_type == "Clip":
        bounds = [*node.input[1:], "", ""][:2]
        if bounds[0] in constants:
            low = max(low, float(numpy_helper.to_array(constants[bounds[0]])))
        if bounds[1] in constants:
            high = min(high, float(numpy_helper.to_array(constants[bounds[1]])))
    return Range(low=min(low, 0.0), high=max(high, 0.0))


def _float_nodes(
    model: ModelProto,
    ties: Mapping[str, str],
    ranges: Mapping[str, Range],
    quantization: Quantization,
) -> dict[str, str]:
    """Return name -> reason of the nodes with integer kernels that compute in floating point."""
    asked = quantization.float_ops or {}
    weights = {initializer.name for initializer in model.graph.initializer}
    floats = {}
    for node in model.graph.node:
        if node.op_type not in (*LAYERS, *CLAMPS, *MOVES, *ARITHMETIC):
            continue
        values = [name for name in (*node.input, *node.output) if name and name not in weights]
        op = ties.get(node.output[0], "")
        if op in asked:
            floats[node.name] = asked[op]
        elif not all(name in ranges for name in values):
            floats[node.name] = "no range for what it reads or gives"
    return floats


def _keep_logits(model: ModelProto) -> None:
    """Let a last matrix product answer in floating point, as integer kernels can.

    The answers of a classifier are close to each other: on 256 levels the best two may be equal.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    for output in model.graph.output:
        dequantize = producers[output.name]
        quantize = producers.get(dequantize.input[0])
        if dequantize.op_type != "DequantizeLinear" or quantize is None:
            continue
        source = producers.get(quantize.input[0])
        if source is not None and source.op_type in ("Gemm", "MatMul"):
            source.output[0] = output.name
            model.graph.node.remove(dequantize)
            model.graph.node.remove(quantize)


def _notes(model: ModelProto, floats: Mapping[str, str]) -> tuple[str, ...]:
    """Return what was done, for the manifest."""
    types = Counter(node.op_type for node in model.graph.node)
    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    integer = sum(node.name not in floats for node in layers)
    reasons = [f"in floating point: {name} ({reason})" for name, reason in floats.items()]
    return (
        f"{integer} of {len(layers)} layers in int8",
        f"{types['QuantizeLinear']} QuantizeLinear, {types['DequantizeLinear']} DequantizeLinear",
        *reasons,
    )
