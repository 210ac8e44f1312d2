"""Every network that the onnx package ships, through the whole of Groundspeed.

The package's networks have constant weights, whose outputs tell little; here every float weight is
replaced by seeded random numbers (variances positive). A row for each network compares, on a
random input and with ONNX Runtime's answer to the unchanged file: the imported network, the folded
and rewritten one, and the folded ONNX graph. A row for each format tells how the written file
agrees with the network, and what a profile of it adds up to; or why there is no such file.

    python benchmarks/light_models.py [--only NAME] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from closure import figures
from onnx import numpy_helper
from subjects import Subject

from groundspeed.artifact import Artifact
from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import ExportError, LaunchError, UnsupportedOp
from groundspeed.export.fold_onnx import fold_onnx
from groundspeed.export.formats import FORMATS
from groundspeed.export.from_onnx import from_onnx, read_onnx
from groundspeed.export.prepare import prepare

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LIMIT = 1e-4  # largest difference over the largest magnitude: float rounding through 100 layers
COMPARED = ("imported", "canonical", "folded_onnx", "parity")
EXCUSE = UnsupportedOp.__name__


def with_random_weights(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """Return ``model`` with a random tensor for every constant that it computes by filling."""
    random = np.random.default_rng(seed)
    variances = {n.input[4] for n in model.graph.node if n.op_type == "BatchNormalization"}
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in [node for node in model.graph.node if node.op_type == "ConstantOfShape"]:
        shape = tuple(int(size) for size in shapes[node.input[0]])
        name = node.output[0]
        spread = 1 / math.sqrt(max(1, math.prod(shape[1:]))) if len(shape) > 1 else 0.1
        values = random.standard_normal(shape) * spread
        if name in variances:
            values = np.abs(values) + 0.5
        elif len(shape) == 1:
            values = values + 0.5
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        model.graph.node.remove(node)
    model.ir_version = 8  # initializers need not be listed as inputs
    return model


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return the first output of ``model`` in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # or it warns of every initializer that is also an input
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    output: np.ndarray = session.run(None, {session.get_inputs()[0].name: x})[0]
    return output


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference over the largest magnitude of ``expected``."""
    return float(np.abs(got.reshape(expected.shape) - expected).max() / np.abs(expected).max())


def check(path: Path) -> dict[str, Any]:
    """Return how the import and the fold of the network in ``path`` agree with ONNX Runtime."""
    model = read_onnx(path)
    begin = time.perf_counter()
    network, inputs = from_onnx(model)
    prepared = prepare(network, inputs)
    folded, report = fold_onnx(model)
    seconds = time.perf_counter() - begin
    expected = run(model, inputs[0].numpy())
    with torch.no_grad():
        imported = network(*inputs).numpy()
        canonical = prepared.program.module()(*inputs).numpy()
    return {
        "network": path.stem,
        "nodes": sum(node.op_type != "Constant" for node in model.graph.node),
        "ops": sum(node.op == "call_function" for node in prepared.program.graph.nodes),
        "folded": report.count,
        "kept": len(report.kept),
        "imported": difference(imported, expected),
        "canonical": difference(canonical, expected),
        "folded_onnx": difference(run(folded, inputs[0].numpy()), expected),
        "seconds": seconds,
    }


def written(exporter: Exporter) -> Iterator[dict[str, Any]]:
    """Yield what became of a network in each format."""
    for format in FORMATS:
        begin = time.perf_counter()
        row: dict[str, Any] = {"network": exporter.network.name, "format": format}
        try:
            artifact = exporter.export(format, "fp32")
            row |= profiled(artifact)
        except (ExportError, LaunchError) as error:
            row["reason"] = f"{type(error).__name__}: {error}"
        yield row | {"seconds": time.perf_counter() - begin}


def profiled(artifact: Artifact) -> dict[str, Any]:
    """Return how an artifact agrees with its network, and what a profile of it adds up to."""
    manifest = artifact.manifest
    model = Subject(manifest.source.name, manifest.runtime, artifact.paths, manifest.inputs)
    job = model.job("profile", 1, profile_runs=5, min_samples=5, max_samples=5, min_seconds=0.0)
    profile = LocalTarget().run(job).profile
    assert profile is not None
    seen = figures(profile)
    return {
        "parity": max(each.max_relative for each in manifest.parity.agreements),
        "profiled_ops": seen["ops"],
        "plain_ms": seen["plain_ms"],
        "closure": seen["closure"],
    }


def rows(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the named networks, by default of all."""
    with tempfile.TemporaryDirectory() as folder:
        for light in sorted(FOLDER.glob("light_*.onnx")):
            name = light.stem.removeprefix("light_")
            if names and name not in names:
                continue
            path = Path(folder) / f"{name}.onnx"
            onnx.save(with_random_weights(onnx.load(light), seed=0), path)
            yield check(path)
            exporter = Exporter(sources.load(str(path)), Path(folder) / "exports")
            yield from written(exporter)
            path.unlink()


def main() -> int:
    """Print the rows as they come; return 1 if anything went wrong.

    That is: a difference beyond the limit, or a format that failed for another reason than that it
    has no way to say what the network computes.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    seen = []
    for row in rows(asked.only):
        seen.append(row)
        if not asked.json:
            print("  ".join(f"{key} {_text(value)}" for key, value in row.items()), flush=True)
    if asked.json:
        print(json.dumps(seen, indent=1))
    worst = max(row.get(key, 0.0) for row in seen for key in COMPARED)
    broken = [row for row in seen if not row.get("reason", EXCUSE).startswith(EXCUSE)]
    return 0 if worst <= LIMIT and not broken else 1


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
