"""What the benchmarks of measuring are given: artifact folders, or bare files of a runtime."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from groundspeed.artifact import Artifact, TensorSpec
from groundspeed.errors import UsageError
from groundspeed.measurement import Job, Options


@dataclass(frozen=True)
class Subject:
    """Files that one runtime opens."""

    name: str
    runtime: str
    files: dict[str, Path]
    specs: tuple[TensorSpec, ...]

    def job(self, action: str, threads: int, **changes: object) -> Job:
        """Return the request for one launch of it."""
        asked: dict[str, object] = {
            "action": action,
            "runtime": self.runtime,
            "files": self.files,
            "specs": self.specs,
            "options": Options(threads=threads),
        }
        return Job(**{**asked, **changes})  # type: ignore[arg-type]


def subject(path: Path, shape: tuple[int, ...]) -> Subject:
    """Return what lies at ``path``; ``shape`` is the input's, for a bare ``.param`` file."""
    if path.is_dir():
        manifest = Artifact.open(path).manifest
        return Subject(path.name, manifest.runtime, Artifact.open(path).paths, manifest.inputs)
    if path.suffix == ".onnx":
        return Subject(path.name, "onnxruntime", {"model": path}, ())
    if path.suffix == ".tflite":
        return Subject(path.name, "litert", {"model": path}, ())
    if path.suffix == ".param":
        files = {"param": path, "bin": path.with_suffix(".bin")}
        return Subject(
            path.name, "ncnn", files, (TensorSpec(name="in0", shape=shape, dtype="float32"),)
        )
    raise UsageError(f"{path} is no artifact folder and no .onnx, .tflite or .param file")


def parser(description: str) -> ArgumentParser:
    """Return the options that the benchmarks of measuring share."""
    made = ArgumentParser(description=description)
    made.add_argument("models", nargs="+", type=Path, help="artifact folders or files")
    made.add_argument("--shape", type=int, nargs="+", default=[1, 3, 224, 224])
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return made
