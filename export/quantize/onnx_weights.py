"""ONNX with 8-bit weights and floating-point activations, which needs no calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

import groundspeed
from groundspeed.artifact import File, Step
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization, quantized, weight_scales

LAYERS = ("Conv", "Gemm", "MatMul")


class DynamicQuantizer:
    """Stores weights in 8 bits, and lets the runtime round their inputs; see ``FileQuantizer``.

    Weights are uint8 and have one scale: ConvInteger has no other in ONNX Runtime.
    """

    suffixes: tuple[str, ...] = ()
    careful = None

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Replace the file; of the ranges none is needed. See ``FileQuantizer.quantize``."""
        path = folder / written.files[0].name
        quantize_dynamic(path, path, weight_type=QuantType.QUInt8, op_types_to_quantize=[*LAYERS])
        onnx.checker.check_model(path, full_check=True)
        note = "weights in uint8, one scale each; the runtime quantizes their inputs in every run"
        return _described(written, path, f"onnxruntime {version('onnxruntime')}", note)


class WeightOnlyQuantizer:
    """Stores weights in int8, and computes with floats; see ``FileQuantizer``."""

    suffixes: tuple[str, ...] = ()
    careful = None

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Replace the file; of the ranges none is needed. See ``FileQuantizer.quantize``."""
        path = folder / written.files[0].name
        model = onnx.load(path)
        count = _store_in_integers(model, per_channel=quantization.per_channel)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        note = f"weights of {count} layers in int8; the runtime turns them into floats on opening"
        return _described(written, path, f"groundspeed {groundspeed.__version__}", note)


def _store_in_integers(model: ModelProto, *, per_channel: bool) -> int:
    """Put a DequantizeLinear behind each weight, now of integers; return how many there are."""
    graph = model.graph
    constants = {each.name: each for each in graph.initializer}
    weights = {
        node.input[1]: _channel_axis(node)
        for node in graph.node
        if node.op_type in LAYERS and node.input[1] in constants
    }
    dequantizing = []
    for name, axis in weights.items():
        constant = constants[name]
        array = numpy_helper.to_array(constant)
        first = np.moveaxis(array, axis, 0)
        scales = weight_scales(first, per_channel=per_channel)
        steps = scales.reshape([-1 if each == axis else 1 for each in range(array.ndim)])
        constant.CopyFrom(
            numpy_helper.from_array(quantized(array, steps).astype(np.int8), f"{name}_q")
        )
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
        inputs = [f"{name}_q", f"{name}_scale"]
        dequantizing.append(helper.make_node("DequantizeLinear", inputs, [name], axis=axis))
    for node in reversed(dequantizing):
        graph.node.insert(0, node)
    return len(dequantizing)


def _channel_axis(node: onnx.NodeProto) -> int:
    """Return which dimension of a layer's weight is its output channels."""
    if node.op_type == "Gemm":
        is_transposed = any(each.name == "transB" and each.i for each in node.attribute)
        return 0 if is_transposed else 1
    return 0 if node.op_type == "Conv" else 1


def _described(written: Written, path: Path, by: str, note: str) -> Written:
    step = Step(name="quantize", by=by, notes=(note,))
    return replace(written, files=(File.of("model", path),), steps=(*written.steps, step))
