"""The runtimes that ship with Groundspeed; others register by the entry points of the group."""

from __future__ import annotations

from groundspeed.registry import Entry, Registry
from groundspeed.runtimes.session import Runtime

RUNTIMES = Registry(
    "runtime",
    "groundspeed.runtimes",
    {
        "litert": Entry(
            target="groundspeed.runtimes.on_litert:LiteRt",
            extra="litert",
            summary="LiteRT, or tflite-runtime where that is what a board has; opens TFLite",
        ),
        "ncnn": Entry(
            target="groundspeed.runtimes.on_ncnn:Ncnn",
            extra="ncnn",
            summary="ncnn; opens its own .param and .bin",
        ),
        "onnxruntime": Entry(
            target="groundspeed.runtimes.on_onnxruntime:OnnxRuntime",
            extra="onnxruntime",
            summary="ONNX Runtime on the CPU; opens ONNX",
        ),
    },
)


def open_runtime(name: str) -> Runtime:
    """Return the runtime of a name.

    Raises:
        UnknownName: there is none.
        MissingExtra: its engine is not installed.
    """
    runtime: Runtime = RUNTIMES.load(name)()
    return runtime
