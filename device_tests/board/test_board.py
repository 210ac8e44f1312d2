"""A board over ssh: Debian's own sshd and the wheels' own engines, on emulated arm64."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.any_device import AnyDevice, artifact
from device_tests.emulation.board import Board
from device_tests.emulation.equality import job
from groundspeed.deploy.agents.wheels import provision
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.devices.using import using
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.catalog import named, open_link
from groundspeed.deploy.targets.link import Link
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import DeviceRefused

pytestmark = pytest.mark.arm64


def groundspeed(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "groundspeed", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


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


@pytest.fixture
def link(project: Path) -> Iterator[Link]:
    opened = open_link(named("board"))
    yield opened
    opened.close()


@pytest.fixture
def target(provisioned: Path, tmp_path: Path) -> Iterator[Target]:
    with Store(tmp_path / "results") as store, using("board", store) as opened:
        yield opened


def test_it_says_that_it_is_emulated(link: Link) -> None:
    state = read_state(link)
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


class TestBoard(AnyDevice):
    """What holds on every device."""


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
