"""The formats that Groundspeed writes; others register by the entry points of the group."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from groundspeed.errors import UnknownName, UsageError
from groundspeed.registry import Entry, Registry, unknown_name

FORMATS = Registry(
    "format",
    "groundspeed.formats",
    {
        "ncnn": Entry(
            target="groundspeed.export.to_ncnn:NcnnWriter",
            extra="to-ncnn",
            summary="ncnn's .param and .bin, by pnnx",
        ),
        "onnx": Entry(
            target="groundspeed.export.to_onnx:OnnxWriter",
            extra="to-onnx",
            summary="ONNX, by PyTorch's exporter and onnxsim",
        ),
        "tflite": Entry(
            target="groundspeed.export.to_tflite:TfliteWriter",
            extra="to-tflite",
            summary="TFLite, by litert-torch",
        ),
    },
)

FLOATS = ("fp32", "fp16")
AUTO = "auto"  # int8 in the layers where it was measured to pay

QUANTIZERS = Registry(
    "quantizer",
    "groundspeed.quantizers",
    {
        "ncnn-int8": Entry(
            target="groundspeed.export.quantize.ncnn_int8:NcnnQuantizer",
            extra="to-ncnn",
            summary="ncnn layers with int8 weights and inputs",
        ),
        "ncnn-int8_weight_only": Entry(
            target="groundspeed.export.quantize.ncnn_tables:NcnnWeightQuantizer",
            extra="to-ncnn",
            summary="weights as bytes and a table, computed with in floating point",
        ),
        "onnx-int8": Entry(
            target="groundspeed.export.quantize.onnx_int8:OnnxQuantizer",
            extra="to-onnx",
            summary="QDQ, by ONNX Runtime's quantizer",
        ),
        "onnx-int8_dynamic": Entry(
            target="groundspeed.export.quantize.onnx_weights:DynamicQuantizer",
            extra="to-onnx",
            summary="int8 weights, inputs quantized in every run, by ONNX Runtime's quantizer",
        ),
        "onnx-int8_weight_only": Entry(
            target="groundspeed.export.quantize.onnx_weights:WeightOnlyQuantizer",
            extra="to-onnx",
            summary="int8 weights, computed with in floating point",
        ),
        "tflite-int8": Entry(
            target="groundspeed.export.quantize.tflite_int8:TfliteQuantizer",
            extra="to-tflite",
            summary="full integer, by ai-edge-quantizer",
        ),
        "tflite-int8_dynamic": Entry(
            target="groundspeed.export.quantize.tflite_weights:DynamicQuantizer",
            extra="to-tflite",
            summary="int8 weights, inputs quantized in every run",
        ),
        "tflite-int8_weight_only": Entry(
            target="groundspeed.export.quantize.tflite_weights:WeightOnlyQuantizer",
            extra="to-tflite",
            summary="int8 weights, computed with in floating point",
        ),
    },
)
_RUNTIMES = {"ncnn": "ncnn", "onnx": "onnxruntime", "tflite": "litert"}


def check_precisions(formats: Iterable[str], precisions: Iterable[str]) -> None:
    """Make sure that every format can be written in every precision.

    Raises:
        UnknownName: there is no such format.
        UsageError: a format has no such precision.
    """
    formats, precisions = tuple(formats), tuple(precisions)
    for format in formats:
        FORMATS[format]
    for format, precision in product(formats, precisions):
        known = precisions_of(format)
        if precision not in known:
            raise UsageError(unknown_name(f"precision for {format}", precision, list(known)))


def precisions_of(format: str) -> tuple[str, ...]:
    """Return the precisions that a format can be written in."""
    integers = [
        name.removeprefix(f"{format}-") for name in QUANTIZERS if name.startswith(f"{format}-")
    ]
    return (*FLOATS, *integers, *([AUTO] if "int8" in integers else []))


def runtime_of(format: str) -> str:
    """Return the runtime that opens a format; a format from elsewhere is named as its runtime.

    Raises:
        UnknownName: there is no such format.
    """
    FORMATS[format]
    return _RUNTIMES.get(format, format)


def format_for(runtime: str) -> str:
    """Return the format that a runtime opens.

    Raises:
        UnknownName: no format is for it.
    """
    formats = {runtime_of(format): format for format in FORMATS}
    if runtime not in formats:
        raise UnknownName(unknown_name("runtime", runtime, sorted(formats)))
    return formats[runtime]
