"""What the tests of this room share: artifacts made by hand, and targets without an engine."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from device_tests.host.deploy.postgresql_server import PROGRAMS, PostgreSQLServer
from device_tests.host.deploy.shell_link import TOOLBOXES, ShellLink
from device_tests.host.stand_ins.bench import Bench
from groundspeed.artifact import Artifact, File, Manifest, Source, TensorSpec
from groundspeed.deploy.gate.comparing import Contest
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.measurement import Job
from groundspeed.ops import Op, OpKind
from groundspeed.runtimes.catalog import RUNTIMES

FAKE_AGENT = (sys.executable, str(Path(__file__).with_name("fake_agent.py")))

MakeArtifact = Callable[..., Artifact]

# What the fake engine computes: six classes from an image.
IMAGE = (3, 4, 5)
WEIGHTS = np.random.default_rng(0).standard_normal((6, 60)).astype(np.float32)


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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    """Return a real server; without one such tests are skipped, but fail in CI."""
    if PROGRAMS is None:
        if os.environ.get("GROUNDSPEED_REQUIRE_POSTGRESQL"):
            pytest.fail("a PostgreSQL server is asked for, and none is installed")
        pytest.skip("no PostgreSQL server is installed")
    with PostgreSQLServer() as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "results") as opened:
        yield opened


@pytest.fixture
def fake_target() -> LocalTarget:
    """Return the local target with an agent that answers at once."""
    return LocalTarget(command=FAKE_AGENT)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeArtifact:
    """Install the runtime "fake", and return a function that makes an artifact for it."""
    installed = tmp_path / "installed" / "fake_engine-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-engine\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(
        "[groundspeed.runtimes]\nfake = fake_engine:Engine\n"
    )
    # This process may have read what is installed already, and must forget "fake" afterwards.
    monkeypatch.setattr(RUNTIMES, "_entries", dict(RUNTIMES._entries))
    monkeypatch.setattr(RUNTIMES, "_extended", False)
    # A child process gets these folders too.
    monkeypatch.syspath_prepend(str(installed.parent))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def make(
        name: str,
        *,
        precision: str = "fp32",
        weights: NDArray[np.generic] = WEIGHTS,
        behaviour: str = "",
        step: float = 0.0,
        batch: int = 1,
        layout: str = "NCHW",
        scale: float | None = None,
    ) -> Artifact:
        folder = tmp_path / "artifacts" / name
        folder.mkdir(parents=True)
        np.savez(folder / "model.npz", weights=weights, behaviour=behaviour, step=step)
        shape = (batch, *(IMAGE if layout == "NCHW" else (*IMAGE[1:], IMAGE[0])))
        spec = TensorSpec(
            name="x",
            shape=shape,
            dtype="float32" if scale is None else "int8",
            layout=layout,
            scale=scale,
            zero_point=None if scale is None else 3,
        )
        kept = {"macs": 0, "flops": 0, "memory_bytes": 0, "parameters": 0, "line": ""}
        image = Op(name="image", kind=OpKind.OTHER, module="stem", output_shape=(1, *IMAGE), **kept)
        scores = Op(name="scores", kind=OpKind.LINEAR, module="fc", output_shape=(1, 6), **kept)
        artifact = Artifact(
            folder=folder,
            manifest=Manifest(
                runtime="fake",
                format="onnx",
                precision=precision,
                files=(File.of("model", folder / "model.npz"),),
                inputs=(spec,),
                outputs=(),
                source=Source(name=name, spec=name, digest=name),
                ops=(image, scores),
                tensors={"image in the file": "image", "scores in the file": "scores"},
            ),
        )
        artifact.save()
        return artifact

    return make


@pytest.fixture(params=sorted(TOOLBOXES))
def link(request: pytest.FixtureRequest, tmp_path: Path) -> ShellLink:
    """Return a link to a folder of this machine, in each of the shells that devices have."""
    return ShellLink(tmp_path, request.param)


@pytest.fixture
def bench(fake_target: LocalTarget) -> Bench:
    """Return a device whose latencies are known; see there."""
    return Bench(fake_target.run(Job(action="measure", runtime="any")))


@pytest.fixture
def contest(make_artifact: MakeArtifact) -> Callable[..., Contest]:
    """Return a function that makes two files, the second slower by a share on that device."""

    def make(slower_by: float = 0.0, *, crash: str = "") -> Contest:
        def file(name: str, ns: float) -> Artifact:
            artifact = make_artifact(name)
            path = artifact.folder / "model.onnx"
            path.write_text(f"{name} {ns} {'crash' if crash == name else ''}")
            files = (File.of("model", path),)
            return dataclasses.replace(
                artifact, manifest=dataclasses.replace(artifact.manifest, files=files)
            )

        return Contest(baseline=file("old", 1e6), candidate=file("new", 1e6 * (1 + slower_by)))

    return make
