"""What the user names as an artifact: a folder that export made, or a bare file from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from groundspeed.artifact import Artifact, File, Manifest, Source, TensorSpec
from groundspeed.deploy.isolation import IsolatedSession
from groundspeed.errors import ArtifactError, GroundspeedError
from groundspeed.measurement import Options

# suffix -> format, runtime, and role -> suffix of the files that belong together.
_KINDS = {
    ".onnx": ("onnx", "onnxruntime", {"model": ".onnx"}),
    ".tflite": ("tflite", "litert", {"model": ".tflite"}),
    ".param": ("ncnn", "ncnn", {"param": ".param", "bin": ".bin"}),
}


def open_artifact(
    path: Path, *, precision: str = "fp32", input_shapes: tuple[tuple[int, ...], ...] = ()
) -> Artifact:
    """Return the artifact in a folder, or one made up for a bare file.

    A bare file has no parity and no ties to a network's modules; it can be measured all the same.

    Args:
        path: folder with a manifest, or an ``.onnx``, ``.tflite`` or ``.param`` file.
        precision: what a bare file is computed with.
        input_shapes: shapes of a bare ncnn network's inputs (in0, in1, ...), which its files may
            not say.

    Raises:
        ArtifactError: it is neither, or it is damaged.
    """
    if path.is_dir() or path.suffix not in _KINDS:
        return Artifact.open(path)
    if not path.is_file():
        raise ArtifactError(f"there is no file {path}")
    format, runtime, suffixes = _KINDS[path.suffix]
    files = []
    for role, suffix in suffixes.items():
        file = path.with_suffix(suffix)
        if not file.is_file():
            raise ArtifactError(f"{path} needs {file.name} beside it, which is missing")
        files.append(File.of(role, file))
    return _with_ends(
        Artifact(
            folder=path.parent,
            manifest=Manifest(
                runtime=runtime,
                format=format,
                precision=precision,
                files=tuple(files),
                inputs=tuple(
                    TensorSpec(name=f"in{index}", shape=shape, dtype="float32")
                    for index, shape in enumerate(input_shapes)
                ),
                outputs=(),
                source=Source(name=path.stem, spec=str(path), digest=files[-1].sha256),
            ),
        )
    )


def _with_ends(artifact: Artifact) -> Artifact:
    """Return an artifact that says its inputs and outputs, as its engine tells them.

    Who sends inputs along to a device needs to know them. What cannot be opened here is left as it
    is: the engine that is to run it, here or on a device, says why.
    """
    manifest = artifact.manifest
    if manifest.inputs or manifest.runtime == "ncnn":  # whose files do not tell
        return artifact
    try:
        options = Options(precision=manifest.precision)
        with IsolatedSession(manifest.source.name, artifact, options) as session:
            ends = replace(manifest, inputs=session.inputs, outputs=session.outputs)
    except GroundspeedError:
        return artifact
    return replace(artifact, manifest=ends)
