"""TFLite files on boards that have tflite-runtime: they load, run, and compute what LiteRT does.

That package ended with Python 3.11. The agent runs here as on such a board, in a process that sees
nothing but tflite-runtime and the numpy that it knows. Oracle: ai-edge-litert's kernels.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from groundspeed.documents import from_plain, to_plain
from groundspeed.export.check import check
from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.tflite_int8 import TfliteQuantizer
from groundspeed.export.rewrites.catalog import rewrite
from groundspeed.export.to_tflite import TfliteWriter
from groundspeed.export.writer import Written
from groundspeed.measurement import Job, Launch
from groundspeed.models import zoo
from groundspeed.quantization import Quantization
from groundspeed.runtimes import litert_graph
from groundspeed.runtimes.feeds import random_feeds
from groundspeed.runtimes.session import Array

ROOT = Path(__file__).parents[2]
KINDS = ("fp32", "int8", "int8 with integer ends")


@dataclass(frozen=True)
class Exported:
    """A file and what its manifest would say of it."""

    path: Path
    written: Written

    @property
    def feeds(self) -> dict[str, Array]:
        return random_feeds(self.written.inputs, 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """A small MobileNet of the zoo."""
    network = zoo.create("mobilenet_v1_x0_25", num_classes=10).eval()
    random = torch.Generator().manual_seed(0)
    samples = [(torch.randn(1, 3, 32, 32, generator=random),) for _ in range(4)]
    prepared = prepare(network, samples[0])
    graph_module, _ = rewrite(prepared.program, "tflite")
    folders = {kind: tmp_path_factory.mktemp(kind.replace(" ", "-")) for kind in KINDS}
    written = TfliteWriter().write(
        graph_module, prepared.inputs, folders["fp32"], precision="fp32", layout=None
    )
    exported = {"fp32": Exported(folders["fp32"] / "model.tflite", written)}
    checked = check(
        prepared.program,
        prepared.reference,
        prepared.inputs,
        written,
        folders["fp32"],
        runtime="litert",
        precision="fp32",
    )
    names = prepared.program.graph_signature.user_inputs
    ends = {spec.name: str(name) for spec, name in zip(written.inputs, names, strict=True)}
    calibration = calibrate(prepared.program, samples, data="noise")
    for kind in KINDS[1:]:
        shutil.copytree(folders["fp32"], folders[kind], dirs_exist_ok=True)
        quantization = Quantization(calibration=calibration, integer_ends="ends" in kind)
        made = TfliteQuantizer().quantize(
            written, folders[kind], ends | checked.tensors, quantization
        )
        exported[kind] = Exported(folders[kind] / "model.tflite", made)
    return exported


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages as on an older board: tflite-runtime, and the numpy that it knows."""
    if sys.version_info >= (3, 12) or not sys.platform.startswith("linux"):
        pytest.skip("tflite-runtime has wheels for Linux and Python 3.9 to 3.11 only")
    folder = tmp_path_factory.mktemp("board")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--only-binary", ":all:")
    packages = ("tflite-runtime==2.14.0", "numpy<2")
    done = subprocess.run([*pip, "--target", folder, *packages], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def on_board(board: Path, exported: Exported, folder: Path) -> tuple[Launch, dict[str, Array]]:
    """Return what the agent tells of a launch on the board, and the outputs."""
    np.savez(folder / "in.npz", **exported.feeds)
    job = Job(
        action="measure",
        runtime="litert",
        files={"model": exported.path},
        specs=exported.written.inputs,
        inputs=folder / "in.npz",
        outputs=folder / "out.npz",
        min_samples=1,
        max_samples=1,
        max_warmup_seconds=0.1,
    )
    done = subprocess.run(
        # -S: none of the packages of this environment, so no ai-edge-litert.
        [sys.executable, "-S", "-P", "-m", "groundspeed.runtimes.agent"],
        input=json.dumps(to_plain(job)),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (board, ROOT)))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with np.load(folder / "out.npz") as outputs:
        answer = json.loads(done.stdout.splitlines()[-1])
        return from_plain(Launch, answer["result"]), dict(outputs)


def by_plain_kernels(exported: Exported) -> dict[str, Array]:
    """Return the outputs by ai-edge-litert without XNNPACK: tflite-runtime's kernels."""
    interpreter = litert_graph.plain_interpreter(exported.path)
    interpreter.allocate_tensors()
    for name, index in litert_graph.input_indices(interpreter).items():
        interpreter.set_tensor(index, exported.feeds[name])
    interpreter.invoke()
    indices = litert_graph.output_indices(interpreter)
    return {name: interpreter.get_tensor(index) for name, index in indices.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_tflite_runtime_computes_what_litert_does(
    files: dict[str, Exported], board: Path, kind: str, tmp_path: Path
) -> None:
    exported = files[kind]
    launch, outputs = on_board(board, exported, tmp_path)
    assert (launch.runtime_build, launch.runtime_version) == ("tflite-runtime", "2.14.0")
    (name,) = (spec.name for spec in exported.written.outputs)
    answer, expected = outputs[name], by_plain_kernels(exported)[name]
    assert answer.dtype == expected.dtype == (np.int8 if "ends" in kind else np.float32)
    assert len(np.unique(answer)) > 5
    # Floats are summed in another order; integers are rounded by other code, where a half may fall
    # on either side. One step at the end is what that may cost a network as shallow as this one.
    step = files["int8 with integer ends"].written.outputs[0].scale
    tolerance = {"fp32": 1e-5, "int8": step, "int8 with integer ends": 1}[kind]
    assert tolerance is not None
    np.testing.assert_allclose(
        answer.astype(np.float64), expected.astype(np.float64), rtol=1e-6, atol=tolerance
    )
