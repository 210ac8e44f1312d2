"""A whole arm64 board with big and little cores: what only a kernel of its own can tell."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from device_tests.emulation.virtual_machine import MODEL, VirtualMachine
from groundspeed.deploy.adopting import open_artifact
from groundspeed.deploy.devices.clusters import clusters
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.devices.using import using
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.catalog import named, open_link
from groundspeed.deploy.targets.link import Link
from groundspeed.errors import DeviceLost
from groundspeed.measurement import Job, Options

pytestmark = pytest.mark.vm


@pytest.fixture
def link(project: Path) -> Iterator[Link]:
    opened = open_link(named("board"))
    yield opened
    opened.close()


def groundspeed(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "groundspeed", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=400)


@pytest.fixture
def relu(project: Path) -> str:
    node = helper.make_node("Relu", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 8, 8]) for n in "xy"]
    graph = helper.make_graph([node], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(model, project / "relu.onnx")
    return "relu.onnx"


def test_it_says_what_it_is_and_leaves_out_what_it_does_not_know(link: Link) -> None:
    state = read_state(link)
    assert (state.model, state.architecture) == (MODEL, "aarch64")
    assert clusters(state) == [(0, 1), (2, 3)]
    assert state.emulated is True
    assert state.policies == ()
    assert state.temperatures_c == {}
    assert state.throttled is None
    assert state.battery is None


def test_the_doctor_tells_absent_clocks_and_heat_from_good_ones(project: Path) -> None:
    examined = groundspeed("devices", "doctor", "board", "--json")
    assert examined.returncode == 0, examined.stderr
    checks = {check["name"]: check for check in json.loads(examined.stdout)}
    assert checks["clocks"]["grade"] == "unknown"
    assert checks["heat"]["grade"] == "unknown"
    assert checks["cores"]["found"].startswith("2 of one kind (CPU 0-1) + 2 of one kind (CPU 2-3)")


def test_cores_are_those_of_the_kind_that_was_asked_for(
    project: Path, relu: str, tmp_path: Path
) -> None:
    artifact = open_artifact(Path(relu))
    asked = Job(
        action="measure",
        runtime=artifact.manifest.runtime,
        files=dict(artifact.paths),
        min_samples=2,
        min_seconds=0.0,
        specs=artifact.manifest.inputs,
    )
    with Store(tmp_path / "results") as store, using("board", store) as target:
        for cores, expected in (("big", (2, 3)), ("little", (0, 1)), ("", (0, 1, 2, 3))):
            options = Options(cpus=target.cores(cores))
            assert target.run(replace(asked, options=options)).cpus_granted == expected


def test_cores_that_it_has_not_are_refused(project: Path, relu: str) -> None:
    refused = groundspeed("bench", relu, "--on", "board", "--cores", "7")
    assert refused.returncode == 2
    assert "board has no CPU 7" in refused.stderr


def test_clocks_that_are_not_there_cannot_be_held(project: Path, relu: str) -> None:
    refused = groundspeed("bench", relu, "--on", "board", "--lock-clocks")
    assert refused.returncode == 2
    assert "clocks of ssh://board cannot be held" in refused.stderr
    assert "cpufreq" in refused.stderr


def test_a_plug_that_is_pulled_is_a_lost_device(link: Link, machine: VirtualMachine) -> None:
    threading.Timer(2.0, machine.pull_the_plug).start()
    with pytest.raises(DeviceLost):
        link.run("sleep 60", timeout_s=40)
