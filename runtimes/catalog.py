"""The registry of runtimes: one line for each engine that can open an artifact."""

from __future__ import annotations

from groundspeed.registry import Entry, Registry

RUNTIMES = Registry(
    "runtime",
    "groundspeed.runtimes",
    {
        "onnxruntime": Entry(
            target="groundspeed.runtimes.on_onnxruntime:OnnxRuntime",
            extra="onnxruntime",
            summary="ONNX Runtime, CPU execution provider",
        ),
        "litert": Entry(
            target="groundspeed.runtimes.on_litert:LiteRt",
            extra="litert",
            summary="LiteRT (TensorFlow Lite) with XNNPACK",
        ),
        "ncnn": Entry(
            target="groundspeed.runtimes.on_ncnn:Ncnn",
            extra="ncnn",
            summary="ncnn on the CPU",
        ),
    },
)
