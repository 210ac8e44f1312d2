"""The formats that Groundspeed writes; others register by the entry points of the group."""

from __future__ import annotations

from collections.abc import Iterable

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

PRECISIONS = ("fp32", "fp16")
_RUNTIMES = {"ncnn": "ncnn", "onnx": "onnxruntime", "tflite": "litert"}


def check_precisions(formats: Iterable[str], precisions: Iterable[str]) -> None:
    """Make sure that every format can be written in every precision.

    Raises:
        UnknownName: there is no such format.
        UsageError: a precision is unknown.
    """
    for format in formats:
        FORMATS[format]
    for precision in precisions:
        if precision not in PRECISIONS:
            raise UsageError(unknown_name("precision", precision, list(PRECISIONS)))


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
