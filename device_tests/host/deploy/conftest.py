"""What the tests of this room share: artifacts made by hand, and targets without an engine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundspeed.artifact import Artifact, File, Manifest, Source, TensorSpec
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget

FAKE_AGENT = (sys.executable, str(Path(__file__).with_name("fake_agent.py")))

MakeArtifact = Callable[..., Artifact]


@pytest.fixture
def make_artifact(tmp_path: Path) -> MakeArtifact:
    """Return a function that writes an artifact of a few bytes."""

    def make(name: str = "tiny", runtime: str = "onnxruntime", precision: str = "fp32") -> Artifact:
        folder = tmp_path / "made" / f"{name}-{runtime}-{precision}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "model.onnx"
        path.write_text(f"{name} {runtime} {precision}")
        artifact = Artifact(
            folder=folder,
            manifest=Manifest(
                runtime=runtime,
                format="onnx",
                precision=precision,
                files=(File.of("model", path),),
                inputs=(TensorSpec(name="x", shape=(1, 3, 8, 8), dtype="float32"),),
                outputs=(TensorSpec(name="y", shape=(1, 4), dtype="float32"),),
                source=Source(name=name, spec=name, digest=name),
            ),
        )
        artifact.save()
        return artifact

    return make


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "results") as opened:
        yield opened


@pytest.fixture
def fake_target() -> LocalTarget:
    """Return the local target with an agent that answers at once."""
    return LocalTarget(command=FAKE_AGENT)
