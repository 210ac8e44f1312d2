"""One command, several devices at once: this machine, and this machine behind a real sshd."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper


@pytest.fixture
def project(board: str, tmp_path: Path) -> Path:
    """A folder with a file to measure, the board, and a device that is not there."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "groundspeed.toml").write_text(f'[devices]\n{board}gone = "ssh://127.0.0.1:1"\n')
    node = helper.make_node("Relu", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 8, 8]) for n in "xy"]
    graph = helper.make_graph([node], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(model, folder / "relu.onnx")
    return folder


def bench(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundspeed", "bench", "relu.onnx", "--rounds", "2", *words],
        capture_output=True,
        text=True,
        cwd=project,
        timeout=300,
    )


def test_each_has_a_run_of_its_own(project: Path) -> None:
    measured = bench(project, "--on", "local,board", "--json")
    assert measured.returncode == 0, measured.stderr
    runs = json.loads(measured.stdout)["devices"]
    assert list(runs) == ["local", "board"]
    assert {run["device"] for run in runs.values()} == {"local", "board"}
    assert len({run["run"] for run in runs.values()}) == 2
    for run in runs.values():
        assert [cell["launches"] for cell in run["cells"]] == [2]
    assert "board: round 1 of launches" in measured.stderr
    assert "local: round 1 of launches" in measured.stderr


def test_people_get_one_table_of_all_and_the_reason_of_what_is_missing(project: Path) -> None:
    measured = bench(project, "--on", "local,gone")
    assert measured.returncode == 1
    assert "Traceback" not in measured.stderr
    _, _, together = measured.stdout.partition("all devices")
    assert "relu" in together
    assert "ms" in together
    assert "not had: " in measured.stdout


def test_a_device_named_twice_is_bad_use(project: Path) -> None:
    refused = bench(project, "--on", "local,local")
    assert refused.returncode == 2
    assert "name each once" in refused.stderr
