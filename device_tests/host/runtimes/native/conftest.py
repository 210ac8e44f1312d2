"""The native agents of this machine, built once, and files for them to measure."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from groundspeed.artifact import Artifact
from groundspeed.deploy.agents.native import Recipe, build_runner

NETWORK = f"{Path(__file__).parents[2] / 'user_networks.py'}:tiny"

# Of ncnn only what the network below is made of, for the oldest processors, hardly optimized: it
# computes the same, and compiles in a fifth of the time.
NEEDED_LAYERS = (
    *("input", "convolution", "convolutiondepthwise", "innerproduct", "pooling", "reduction"),
    *("slice", "concat", "split", "shufflechannel", "relu", "noop"),
    # What ncnn itself makes such layers of.
    *("gemm", "padding", "packing", "flatten", "cast", "quantize", "dequantize", "requantize"),
)
QUICKLY = {
    "CMAKE_CXX_FLAGS_RELEASE": "-O1 -DNDEBUG",
    "NCNN_RUNTIME_CPU": "OFF",
    **{f"NCNN_{name}": "OFF" for name in ("AVX", "AVX2", "AVX512", "FMA", "F16C")},
}


@pytest.fixture(scope="session")
def runners() -> dict[str, list[str]]:
    """Return for each runtime the words that start its native agent on this machine."""
    recipe = Recipe(only_layers=NEEDED_LAYERS, ncnn_variables=QUICKLY)
    commands = {}
    for runtime in ("ncnn", "litert", "onnxruntime"):
        runner = build_runner(runtime, platform.machine(), recipe=recipe)
        commands[runtime] = runner.command({path: PurePosixPath(path) for path in runner.files})
    return commands


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """Return a small network in every runtime's format, in floats and in integers."""
    folder = tmp_path_factory.mktemp("native")
    images = np.random.default_rng(0).standard_normal((16, 3, 32, 32)).astype(np.float32)
    np.savez(folder / "images.npz", images=images)
    command = [sys.executable, "-m", "groundspeed", "export", NETWORK, "--precision", "fp32,int8"]
    done = subprocess.run(
        [*command, "--data", folder / "images.npz", "-o", folder / "artifacts"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return {path.name: Artifact.open(path) for path in (folder / "artifacts").iterdir()}
