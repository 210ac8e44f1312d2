"""``groundspeed characterize`` and ``predict`` from end to end, on small networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = """
import torch
from torch import nn


def build(width=16):
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU()]
    return nn.Sequential(*layers), torch.zeros(1, 3, 32, 32)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "net.py").write_text(NETWORK)
    return folder


def groundspeed(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundspeed", *words],
        capture_output=True,
        text=True,
        cwd=project,
        timeout=300,
    )


def test_a_device_is_characterized_and_a_network_predicted_there(project: Path) -> None:
    nets = [f"net.py:build:width={width}" for width in (8, 16, 32)]
    words = ("--runtimes", "ncnn", "--runs", "10", "--json")
    done = groundspeed(project, "characterize", *nets, *words)
    assert done.returncode == 0, done.stderr
    (learned,) = json.loads(done.stdout)
    assert learned["setting"]["runtime"] == "ncnn"
    assert len(learned["left_out"]) == 3
    seen = {row["kind"]: row["ops"] + row["fused"] for row in learned["kinds"]}
    # Each of the networks' six layers is distinct, and measured apart, too.
    assert seen["convolution"] == 3 + 3
    assert len(learned["strangers"]) == 3

    done = groundspeed(project, "predict", "net.py:build:width=24")
    assert done.returncode == 0, done.stderr
    assert "predicted from other networks, not measured" in done.stdout
    assert "of 3 within" in " ".join(done.stdout.split())

    done = groundspeed(project, "predict", "net.py:build:width=16", "--json")
    assert done.returncode == 2
    assert "2 networks were profiled there" in done.stderr  # its own profile does not count


def test_a_device_that_nobody_knows_is_an_error_with_the_way_out(project: Path) -> None:
    (project / "empty").mkdir()
    done = groundspeed(project, "predict", "resnet18", "--for", "pi5", "--store", "empty")
    assert done.returncode == 2
    assert "run 'groundspeed characterize --on pi5'" in done.stderr
