"""Whether our files run as fast as those that the converters give by themselves.

For each network of the zoo and each format: our artifact, and the file that the same converter
makes of the same module with the same weights, neither folded nor rewritten, with images NCHW.
Both run in the same runtime, in pairs of fresh processes that take turns (``pairs.py``). Printed is
ours over plain: the ratio of medians, the median over pairs, with a 95 % bootstrap interval.

    python benchmarks/plain_route.py [--onnx2tf PYTHON] [--threads N] [--json] [NETWORK ...]

onnx2tf needs TensorFlow, so it is asked of another environment's Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch
from pairs import compare, launch
from rows import show
from subjects import Subject, subject

from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.sources import Network

NETWORKS = ("shufflenet_v2_x1_0", "mobilenet_v2")


def plain_onnx(network: Network, folder: Path) -> Path:
    """Return what ``torch.onnx.export`` alone makes."""
    path = folder / "plain.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own internals
        torch.onnx.export(network.module, network.inputs, path, dynamo=True, verbose=False)
    return path


def plain_tflite(network: Network, folder: Path) -> Path:
    """Return what ``litert_torch.convert`` alone makes."""
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")  # read at the import
    import litert_torch

    path = folder / "plain.tflite"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter's own internals
        litert_torch.convert(network.module, network.inputs).export(str(path))
    return path


def plain_ncnn(network: Network, folder: Path) -> Path:
    """Return what pnnx alone makes; as asked by default it would store weights in float16."""
    import pnnx

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and what pnnx reads
        torch.jit.trace(network.module, network.inputs).save(folder / "plain.pt")
    shapes = ",".join(str(list(input.shape)).replace(" ", "") for input in network.inputs)
    command = [pnnx.EXEC_PATH, "plain.pt", f"inputshape={shapes}", "fp16=0"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    # ncnn finds the weights of x.param in x.bin.
    return folder / "plain.ncnn.param"


def onnx2tf(python: str, plain: Path, folder: Path) -> Path:
    """Return what onnx2tf makes of the plain ONNX file."""
    made = folder / "onnx2tf"
    command = [python, "-m", "onnx2tf", "-i", str(plain), "-o", str(made), "-n"]
    subprocess.run(command, check=True, capture_output=True)
    return made / "plain_float32.tflite"


PLAIN = {"onnx": plain_onnx, "tflite": plain_tflite, "ncnn": plain_ncnn}


def routes(network: Network, folder: Path, python: str | None) -> Iterator[tuple[str, str, Path]]:
    """Yield route, format and file of what others make of a network."""
    for format, convert in PLAIN.items():
        yield f"plain {format}", format, convert(network, folder)
    if python:
        yield "onnx2tf", "tflite", onnx2tf(python, folder / "plain.onnx", folder)


def rows(name: str, asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield one comparison for each route."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        network = sources.load(name)
        exporter = Exporter(network, folder / "ours")
        ours = {format: subject(exporter.export(format, "fp32").folder, ()) for format in PLAIN}
        shape = tuple(network.inputs[0].shape)
        for route, format, path in routes(network, folder, asked.onnx2tf):
            ratio = _compared(ours[format], subject(path, shape), asked)
            yield {"model": name, "route": route, "threads": asked.threads, **ratio}


def _compared(ours: Subject, plain: Subject, asked: argparse.Namespace) -> dict[str, float]:
    return compare(
        launch(ours, asked.threads, asked.runs),
        launch(plain, asked.threads, asked.runs),
        asked.pairs,
    )


def main() -> int:
    """Print a row for each network and route as soon as it exists."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--onnx2tf", metavar="PYTHON", help="a Python that has onnx2tf")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    show(chain.from_iterable(rows(name, asked) for name in asked.networks), as_json=asked.json)
    if not asked.onnx2tf:
        print("onnx2tf was not compared; --onnx2tf names a Python that has it", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
