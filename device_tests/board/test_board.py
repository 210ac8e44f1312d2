"""A board over ssh: Debian's own sshd and the wheels' own engines, on emulated arm64."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from device_tests.emulation.board import Board
from device_tests.emulation.equality import check_equal, job
from groundspeed.artifact import Artifact
from groundspeed.deploy.agents.wheels import provision
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.devices.using import using
from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.catalog import named, open_link
from groundspeed.documents import to_plain
from groundspeed.errors import DeviceRefused

pytestmark = pytest.mark.arm64

FORMATS = ("onnx", "tflite", "ncnn")


def groundspeed(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "groundspeed", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def artifact(folder: Path, format: str, precision: str) -> Artifact:
    return Artifact.open(folder / f"tiny-{format}-{precision}")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture
def provisioned(project: Path, wheels: Path) -> Path:
    """Give the board engines, once."""
    link = open_link(named("board"))
    try:
        runtimes = ("onnxruntime", "litert", "ncnn")
        provision(link, read_state(link), runtimes, wheels, lambda sentence: None)
    finally:
        link.close()
    return project


def test_it_says_what_it_is_and_that_it_is_emulated(project: Path) -> None:
    link = open_link(named("board"))
    state = read_state(link)
    link.close()
    assert state.architecture == "aarch64"
    assert state.emulated is True
    assert state.python is not None
    assert state.python.startswith("3.11")
    assert not state.android


def test_the_doctor_says_how_it_gets_engines_and_then_that_it_has_them(
    project: Path, request: pytest.FixtureRequest, emulated_board: Board
) -> None:
    if not (emulated_board.root / "root/.cache/groundspeed/packages").exists():
        bare = groundspeed("devices", "doctor", "board", "--json")
        assert bare.returncode == 1
        checks = {check["name"]: check for check in json.loads(bare.stdout)}
        assert checks["runtimes"]["advice"] == "groundspeed devices provision board"
    request.getfixturevalue("provisioned")
    fit = groundspeed("devices", "doctor", "board")
    assert fit.returncode == 0, fit.stdout
    assert "onnxruntime, ai_edge_litert, ncnn" in fit.stdout
    assert "it is emulated" in fit.stdout


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_computes_there_what_it_computes_here(
    provisioned: Path, artifacts: Path, tmp_path: Path, format: str, precision: str
) -> None:
    with Store(tmp_path / "results") as store, using("board", store) as target:
        check_equal(artifact(artifacts, format, precision), target, tmp_path)


def test_a_file_is_as_right_there_as_it_is_here(
    provisioned: Path, artifacts: Path, tmp_path: Path
) -> None:
    generator = np.random.default_rng(3)
    images = generator.standard_normal((5, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=images, y=np.zeros(5, np.int64))
    files = [artifacts / f"tiny-onnx-{precision}" for precision in ("fp32", "int8")]
    data = str(tmp_path / "samples.npz")
    done = groundspeed("eval", *map(str, files), "--data", data, "--on", "board", "--json")
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    here = evaluate({path.name: Artifact.open(path) for path in files}, data)
    assert there["device"] == "board"
    assert there["rows"][0]["top1"] == to_plain(here.rows[0].top1)
    assert there["rows"][1]["sqnr_db"] == pytest.approx(here.rows[1].sqnr_db, abs=3)


def test_bench_profile_and_report_are_as_on_this_machine(
    provisioned: Path, artifacts: Path
) -> None:
    onnx = str(artifacts / "tiny-onnx-fp32")
    measured = groundspeed("bench", onnx, "--on", "board", "--rounds", "2", "--json")
    assert measured.returncode == 0, measured.stderr
    profiled = groundspeed("profile", onnx, "--on", "board", "--runs", "3", "--json")
    assert profiled.returncode == 0, profiled.stderr
    assert "conv" in profiled.stdout.lower()


def test_figures_of_an_emulated_device_are_refused_unless_asked_for(
    provisioned: Path, artifacts: Path
) -> None:
    onnx = str(artifacts / "tiny-onnx-fp32")
    assert groundspeed("bench", onnx, "--on", "board", "--rounds", "2").returncode == 0
    refused = groundspeed("report")
    assert refused.returncode == 2
    assert "--emulated" in refused.stderr
    assert groundspeed("report", "--emulated").returncode == 0
    assert "tiny" not in groundspeed("history").stdout
    assert "tiny" in groundspeed("history", "--emulated").stdout


def test_a_second_run_pushes_nothing(provisioned: Path, artifacts: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "results") as store:
        heard: list[str] = []
        for _ in range(2):
            heard.clear()
            with using("board", store) as target:
                asked = job(artifact(artifacts, "ncnn", "fp32"), tmp_path, "out.npz")
                target.run(asked, heard.append)
        assert not [sentence for sentence in heard if sentence.startswith("pushing")]


def test_a_link_that_is_cut_in_the_midst_costs_no_result(
    provisioned: Path, artifacts: Path, tmp_path: Path, emulated_board: Board
) -> None:
    with Store(tmp_path / "results") as store, using("board", store) as target:
        asked = job(artifact(artifacts, "onnx", "fp32"), tmp_path, "out.npz")
        heard: list[str] = []

        def cut_when_sampling(sentence: str) -> None:
            heard.append(sentence)
            if sentence == "warming up":
                threading.Thread(target=emulated_board.cut_connections).start()

        launch = target.run(asked, cut_when_sampling)
    assert launch.samples_ns
    assert any("waiting for it" in sentence for sentence in heard)


def test_a_cancelled_run_leaves_nothing_running_there(
    provisioned: Path, artifacts: Path, emulated_board: Board
) -> None:
    onnx = str(artifacts / "tiny-onnx-fp32")
    command = [sys.executable, "-m", "groundspeed", "bench", onnx, "--on", "board", "--fresh"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not emulated_board.processes("groundspeed.runtimes.agent"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"run the same command again to go on" in said
    deadline = time.monotonic() + 30
    while emulated_board.processes("groundspeed.runtimes.agent"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_board_is_one_users_at_a_time(provisioned: Path, tmp_path: Path) -> None:
    with (
        Store(tmp_path / "results") as store,
        using("board", store),
        pytest.raises(DeviceRefused, match="in use by"),
        using("board", store, wait_s=0),
    ):
        os.abort()
