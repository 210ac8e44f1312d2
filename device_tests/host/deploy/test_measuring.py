"""The whole chain on this machine: a file, the agent, an engine, the store."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from groundspeed.artifact import Artifact, File, Manifest, Source, TensorSpec
from groundspeed.deploy.benching import bench
from groundspeed.deploy.plan import Settings
from groundspeed.deploy.results import read
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget

QUICK = Settings(
    min_rounds=2,
    max_rounds=2,
    min_samples=5,
    max_samples=10,
    min_seconds=0.01,
    max_warmup_seconds=0.1,
    profile_runs=2,
)


@pytest.fixture
def convolution(tmp_path: Path) -> Artifact:
    """Return one convolution and its activation, written by hand."""
    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, 8, 8))],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = tmp_path / "artifact" / "model.onnx"
    path.parent.mkdir()
    onnx.save(model, path)
    artifact = Artifact(
        folder=path.parent,
        manifest=Manifest(
            runtime="onnxruntime",
            format="onnx",
            precision="fp32",
            files=(File.of("model", path),),
            inputs=(TensorSpec(name="x", shape=(1, 3, 8, 8), dtype="float32", layout="NCHW"),),
            outputs=(TensorSpec(name="y", shape=(1, 4, 8, 8), dtype="float32", layout="NCHW"),),
            source=Source(name="tiny", spec="tiny", digest="tiny"),
        ),
    )
    artifact.save()
    return artifact


def test_a_file_is_measured_and_profiled_and_all_of_it_is_kept(
    store: Store, convolution: Artifact
) -> None:
    result = bench([convolution], store=store, target=LocalTarget(), settings=QUICK)
    cell = result.cells[0]
    assert cell.failures == ()
    assert [len(launch.samples_ns) >= 5 for launch in cell.launches] == [True, True]
    assert cell.profile is not None
    assert cell.profile.profile is not None
    assert cell.profile.profile.ops
    assert cell.latency is not None
    assert cell.latency.interval is not None
    assert len({launch.runtime_version for launch in cell.launches}) == 1
    assert read(store) == result


def test_a_file_that_the_engine_cannot_open_fails_with_a_sentence(
    store: Store, convolution: Artifact
) -> None:
    path = convolution.paths["model"]
    path.write_bytes(path.read_bytes()[:50])
    manifest = dataclasses.replace(convolution.manifest, files=(File.of("model", path),))
    broken = Artifact(folder=convolution.folder, manifest=manifest)
    broken.save()
    result = bench([broken], store=store, target=LocalTarget(), settings=QUICK)
    assert result.failed
    assert result.run.stopped == "no cell can be measured"
    assert "model.onnx" in result.cells[0].failures[0]
