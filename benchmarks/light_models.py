"""Every network that the onnx package ships: import, fold, and compare with ONNX Runtime.

The package's networks have constant weights, whose outputs tell little; here every float weight is
replaced by seeded random numbers (variances positive), and the outputs are compared on a random
input: the imported network, the folded and rewritten one, and the folded ONNX graph.

    python benchmarks/light_models.py [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from groundspeed.export.fold_onnx import fold_onnx
from groundspeed.export.from_onnx import from_onnx
from groundspeed.export.prepare import prepare

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LIMIT = 1e-4  # largest difference over the largest magnitude: float rounding through 100 layers


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
    """Return what happened to the network in ``path``."""
    model = with_random_weights(onnx.load(path), seed=0)
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
        "network": path.stem.removeprefix("light_"),
        "nodes": sum(node.op_type != "Constant" for node in model.graph.node),
        "ops": sum(node.op == "call_function" for node in prepared.program.graph.nodes),
        "folded": report.count,
        "kept": len(report.kept),
        "imported": difference(imported, expected),
        "canonical": difference(canonical, expected),
        "folded_onnx": difference(run(folded, inputs[0].numpy()), expected),
        "seconds": seconds,
    }


def main() -> int:
    """Print one row for each network; return 1 if any differs by more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    rows = []
    for path in sorted(FOLDER.glob("light_*.onnx")):
        rows.append(check(path))
        if not as_json:
            print("  ".join(f"{key} {_text(value)}" for key, value in rows[-1].items()), flush=True)
    if as_json:
        print(json.dumps(rows))
    worst = max(row[key] for row in rows for key in ("imported", "canonical", "folded_onnx"))
    return 0 if worst <= LIMIT else 1


def _text(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
