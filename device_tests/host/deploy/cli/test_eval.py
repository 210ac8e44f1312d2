"""``groundspeed eval`` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

WEIGHTS = np.random.default_rng(0).standard_normal((48, 6)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((30, 3, 4, 4)).astype(np.float32)
SCORES = IMAGES.reshape(30, -1) @ WEIGHTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two bare files that differ by rounded weights, and labelled samples."""
    for name, weights in (("fine", WEIGHTS), ("coarse", np.rint(WEIGHTS * 2) / 2)):
        nodes = [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["y"]),
        ]
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6])],
            [onnx.numpy_helper.from_array(weights, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / f"{name}.onnx")
    np.savez(tmp_path / "samples.npz", x=IMAGES, y=SCORES.argmax(1))
    return tmp_path


def test_a_table_for_people(groundspeed, folder: Path) -> None:
    done = groundspeed("eval", "fine.onnx", "coarse.onnx", "--data", "samples.npz", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "100.00%" in done.stdout
    assert "compared with fine.onnx" in done.stdout
    assert "30 samples of samples.npz" in done.stdout
    assert "computed on this machine" in done.stdout


def test_json_for_machines(groundspeed, folder: Path) -> None:
    done = groundspeed(
        *("eval", "coarse.onnx", "--reference", "fine.onnx"),
        *("--data", "samples.npz", "--samples", "20", "--json"),
        cwd=folder,
    )
    result = json.loads(done.stdout)
    rows = {row["name"]: row for row in result["rows"]}
    assert (result["samples"], result["reference"]) == (20, "fine.onnx")
    assert rows["fine.onnx"]["top1"]["value"] == 1
    assert rows["coarse.onnx"]["top1"]["count"] == rows["coarse.onnx"]["agreement"]["count"]
    assert 10 < rows["coarse.onnx"]["sqnr_db"] < 30


def test_a_device_says_what_this_machine_says(groundspeed, folder: Path, board: str) -> None:
    (folder / "groundspeed.toml").write_text(f"[devices]\n{board}")
    words = ("eval", "fine.onnx", "coarse.onnx", "--data", "samples.npz")
    found = {}
    for device in ("local", "board"):
        done = groundspeed(*words, "--on", device, "--cores", "0", "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        found[device] = json.loads(done.stdout)
        assert found[device].pop("device") == device
        # This machine needs no lease, and gets no folder of results.
        assert (folder / "groundspeed-results").exists() == (device == "board")
    assert found["board"] == found["local"]


def test_beside_the_network_in_pytorch(groundspeed, folder: Path) -> None:
    (folder / "net.py").write_text(
        "import numpy as np, torch\n"
        "def build():\n"
        "    linear = torch.nn.Linear(48, 6, bias=False)\n"
        "    weights = np.random.default_rng(0).standard_normal((48, 6)).astype('f4')\n"
        "    linear.weight.data = torch.from_numpy(weights.T.copy())\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), linear)\n"
    )
    done = groundspeed(
        *("eval", "fine.onnx", "--network", "net.py:build", "--input-shape", "1,3,4,4"),
        *("--data", "samples.npz", "--json"),
        cwd=folder,
    )
    network, file = json.loads(done.stdout)["rows"]
    assert network["runtime"] == "pytorch"
    assert network["top1"]["value"] == file["agreement"]["value"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "'nowhere' is no folder of images"),
        (["--data", "transposed.npz"], "channels are last"),
        (["--data", "samples.npz", "--weights", "w.pt"], "--weights are those of a network"),
        (["--data", "samples.npz", "--reference", "no.onnx"], "there is no file no.onnx"),
        (["--data", "samples.npz", "--per-tensor"], "tensors can be compared only with"),
        (["--data", "samples.npz", "--on", "ssh://127.0.0.1:1"], "cannot be reached"),
        (["--data", "samples.npz", "--cores", "4000"], "this machine has no CPU 4000"),
    ],
)
def test_bad_use_is_one_sentence(
    groundspeed, folder: Path, arguments: list[str], words: str
) -> None:
    np.savez(folder / "transposed.npz", x=IMAGES.transpose(0, 2, 3, 1))
    done = groundspeed("eval", "fine.onnx", *arguments, cwd=folder)
    assert done.returncode == (1 if "--on" in arguments else 2)
    assert words in done.stderr.replace("\n", " ")


def test_a_damaged_file(groundspeed, folder: Path) -> None:
    (folder / "cut.onnx").write_bytes((folder / "fine.onnx").read_bytes()[:100])
    done = groundspeed("eval", "cut.onnx", "--data", "samples.npz", cwd=folder)
    assert done.returncode == 2
    assert "cut.onnx" in done.stderr


def test_an_interruption_is_one_sentence(folder: Path) -> None:
    np.savez(folder / "many.npz", x=np.zeros((200_000, 3, 4, 4), np.float32))
    with subprocess.Popen(
        [sys.executable, "-m", "groundspeed", "eval", "fine.onnx", "--data", "many.npz"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "evaluating samples\n"
        # As a terminal does: the whole group hears of Ctrl-C.
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert said.split() == ["groundspeed:", "interrupted"]
