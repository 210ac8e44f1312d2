"""An artifact is what its manifest says, or an error that says what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from groundspeed.artifact import MANIFEST, Artifact, File, Manifest, Source
from groundspeed.errors import ArtifactError


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    made = Artifact(
        folder=tmp_path,
        manifest=Manifest(
            runtime="onnxruntime",
            format="onnx",
            precision="fp32",
            files=(File.of("model", model),),
            inputs=(),
            outputs=(),
            source=Source(name="net", spec="net", digest="0"),
        ),
    )
    made.save()
    return made


def test_what_is_saved_is_what_is_opened(artifact: Artifact) -> None:
    assert Artifact.open(artifact.folder) == artifact
    assert artifact.size_bytes == len(b"weights")


def test_identity_is_the_content_not_the_place(artifact: Artifact) -> None:
    elsewhere = replace(artifact, folder=Path("/elsewhere"))
    other = replace(artifact, manifest=replace(artifact.manifest, precision="fp16"))
    assert elsewhere.id == artifact.id
    assert other.id != artifact.id


def test_a_changed_file_is_noticed(artifact: Artifact) -> None:
    artifact.paths["model"].write_bytes(b"other")
    with pytest.raises(ArtifactError, match="changed or cut short"):
        Artifact.open(artifact.folder)


def test_a_missing_file_is_named(artifact: Artifact) -> None:
    artifact.paths["model"].unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        Artifact.open(artifact.folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 1}', "\x00\xff"])
def test_a_damaged_manifest_is_an_error_not_a_crash(artifact: Artifact, text: str) -> None:
    (artifact.folder / MANIFEST).write_text(text)
    with pytest.raises(ArtifactError, match=MANIFEST):
        Artifact.open(artifact.folder)


def test_a_manifest_of_the_future_is_refused(artifact: Artifact) -> None:
    path = artifact.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 999}))
    with pytest.raises(ArtifactError, match="format version 999"):
        Artifact.open(artifact.folder)


def test_any_other_folder_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is no artifact"):
        Artifact.open(tmp_path)
