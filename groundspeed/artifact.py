"""An Artifact: what one runtime can open, with the story of how it was made.

On disk an artifact is a folder with the runtime's files and a ``manifest.json``. Its identity is
the digest of its content, so that a later run can measure the old file itself again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from groundspeed.documents import dump, from_plain, write_atomically
from groundspeed.errors import ArtifactError
from groundspeed.mixing import Mixing
from groundspeed.ops import Op
from groundspeed.quantization import LayerLoss, Quantization

MANIFEST = "manifest.json"
FORMAT_VERSION = 1  # 1: first version, 2026-11


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """An input or output of a network.

    Attributes:
        name: the name that the runtime knows it by.
        shape: all dimensions, the batch among them.
        dtype: numpy's name of the element type ("float32", "int8").
        layout: "NCHW" or "NHWC" where the tensor is an image or feature map, else "".
        scale: quantization step, for integers: real = scale * (stored - zero_point).
        zero_point: the stored integer that stands for 0.0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str = ""
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of an artifact.

    Attributes:
        role: what the runtime opens it as ("model", "param", "bin").
        name: file name inside the folder.
        sha256: digest of its bytes.
        size_bytes: its size.
    """

    role: str
    name: str
    sha256: str
    size_bytes: int

    @staticmethod
    def of(role: str, path: Path) -> File:
        """Describe the file at ``path``."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return File(role=role, name=path.name, sha256=digest, size_bytes=path.stat().st_size)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The network that an artifact was made from.

    Attributes:
        name: its name ("shufflenet_v2_x1_0", or what the user's callable is called).
        spec: what the user typed to name it.
        digest: sha256 over the names, dtypes, shapes and bytes of its weights.
    """

    name: str
    spec: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that was done on the way from network to file.

    Attributes:
        name: the step ("fold_batchnorm", "to_onnx").
        by: package and version that did it ("groundspeed 0.1.0", "onnxsim 0.8.1").
        notes: what it did or left undone, a sentence each.
    """

    name: str
    by: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How one output of the file agrees with the network's, over all checked inputs.

    Attributes:
        output: name of the output.
        max_absolute: largest absolute difference.
        max_relative: largest absolute difference over the largest magnitude of the reference.
        cosine: cosine of the angle between the two, 1 when equal up to a factor.
        psnr_db: peak signal-to-noise ratio, the reference's peak to peak as the peak; decibels.
        top1: share of samples with the same arg-max along the last axis, None for maps.
    """

    output: str
    max_absolute: float
    max_relative: float
    cosine: float
    psnr_db: float
    top1: float | None


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The proof that a file computes what the network computes.

    Attributes:
        inputs: how many different inputs were run.
        tolerance: the largest ``max_relative`` that passes at this precision.
        agreements: one for each output.
        passed: whether every output is finite and within the tolerance.
        first_divergence: the first tensor (in order of computation) that left the tolerance,
            with its module path; "" when none did or none could be tied.
        layer: canonical op of the layer with integers that this tensor is computed by; "" in files
            of floats, and for what is no layer.
        reference: what was compared with ("network in PyTorch, unfolded").
    """

    inputs: int
    tolerance: float
    agreements: tuple[Agreement, ...]
    passed: bool
    first_divergence: str = ""
    layer: str = ""
    reference: str = "the network in PyTorch, before any step"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``manifest.json`` says.

    Attributes:
        runtime: name of the runtime that opens the files ("onnxruntime", "litert", "ncnn").
        format: name of the format ("onnx", "tflite", "ncnn").
        precision: "fp32", "fp16", "int8", "int8_dynamic", "int8_weight_only", or "auto" where the
            layers that compute with integers were chosen by measuring.
        files, inputs, outputs, source, steps, parity: as documented on their types.
        ops: the canonical ops of the network, in order of computation.
        tensors: name of a tensor in the file -> name of the canonical op that computes the same
            values (up to layout); what could not be tied is not listed.
        quantization: the ranges that its integers stand for, and what stays in floating point;
            None without integers.
        losses: what quantization costs each layer; empty without integers.
        mixing: how the integer layers of an "auto" file were chosen; else None.
    """

    runtime: str
    format: str
    precision: str
    files: tuple[File, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    source: Source
    steps: tuple[Step, ...] = ()
    parity: Parity | None = None
    ops: tuple[Op, ...] = ()
    tensors: dict[str, str] | None = None
    quantization: Quantization | None = None
    losses: tuple[LayerLoss, ...] = ()
    mixing: Mixing | None = None
    format_version: int = FORMAT_VERSION

    @property
    def packages(self) -> dict[str, str]:
        """Name -> version of each package that made the files."""
        steps = (step.by.partition(" ") for step in self.steps)
        return {name: version for name, _, version in steps}


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A folder that holds a manifest and the files it lists."""

    folder: Path
    manifest: Manifest

    @staticmethod
    def open(folder: Path, *, verify: bool = True) -> Artifact:
        """Read the artifact in ``folder``.

        Args:
            folder: where ``manifest.json`` lies.
            verify: also compare the digest of every file with the manifest's.

        Raises:
            ArtifactError: no manifest, a damaged one, or a file that is missing or was changed.
        """
        path = folder / MANIFEST
        try:
            plain = json.loads(path.read_text())
        except FileNotFoundError:
            raise ArtifactError(
                f"{folder} is no artifact: it has no {MANIFEST}; "
                "make one with 'groundspeed export', or name a folder that it made"
            ) from None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} cannot be read ({error}); export it again") from error
        version = plain.get("format_version") if isinstance(plain, dict) else None
        if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
            raise ArtifactError(
                f"{path} has format version {version}, this Groundspeed reads up to "
                f"{FORMAT_VERSION}; upgrade it, or export again"
            )
        try:
            artifact = Artifact(folder=folder, manifest=from_plain(Manifest, plain))
        except ValueError as error:
            raise ArtifactError(f"{path} is damaged: {error}; export it again") from error
        artifact._check_files(verify=verify)
        return artifact

    def _check_files(self, *, verify: bool) -> None:
        for file in self.manifest.files:
            path = self.folder / file.name
            if not path.is_file():
                raise ArtifactError(f"{path} is missing; export it again")
            if verify and File.of(file.role, path) != file:
                raise ArtifactError(
                    f"{path} is not the file that the manifest describes (it was changed or cut "
                    "short); export it again"
                )

    def save(self) -> None:
        """Write the manifest, last of all files, so that a folder with one is complete."""
        write_atomically(self.folder / MANIFEST, dump(self.manifest))

    @property
    def id(self) -> str:
        """Identity: sha256 over runtime, precision and the digests of the files."""
        text = dump([self.manifest.runtime, self.manifest.precision, list(self.manifest.files)])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def paths(self) -> dict[str, Path]:
        """Role -> path of the file."""
        return {file.role: self.folder / file.name for file in self.manifest.files}

    @property
    def size_bytes(self) -> int:
        """Size of all files that the runtime opens, without the manifest."""
        return sum(file.size_bytes for file in self.manifest.files)
