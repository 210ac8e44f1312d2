"""``groundspeed explain`` from end to end, on a network that has a channel shuffle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = """
import torch
from torch import nn


class Shuffle(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)


def build():
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), Shuffle()]
    layers += [nn.Conv2d(32, 32, 1), nn.ReLU()]
    return nn.Sequential(*layers), torch.zeros(1, 3, 48, 48)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "net.py").write_text(NETWORK)
    return folder


def explain(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundspeed", "explain", "net.py:build", *words],
        capture_output=True,
        text=True,
        cwd=project,
        timeout=300,
    )


def test_a_pattern_is_found_in_the_users_module_and_taken_out(project: Path) -> None:
    words = ("--runtimes", "onnxruntime", "--budget", "35s", "--markdown", "found.md", "--json")
    done = explain(project, *words)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (cell,) = document["cells"]
    findings = {finding["pattern"]: finding for finding in cell["explained"]["findings"]}
    assert [place["module"] for place in findings["channel shuffle"]["places"]] == ["2"]
    tried = findings["channel shuffle"]["counterfactual"]
    assert tried["places"] == 1
    assert tried["measured"]["evidence"] == "measured"
    assert cell["explained"]["run"] == document["run"] + 1
    assert "channel shuffle" in (project / "found.md").read_text()
    assert "What costs time without need" in Path(project, document["report"]).read_text()


def test_an_interrupted_explanation_goes_on_with_the_cells_that_are_left(project: Path) -> None:
    words = ("--runtimes", "onnxruntime", "--threads", "1,2", "--budget", "0", "--store", "other")
    done = explain(project, *words)
    assert done.returncode == 0, done.stderr
    notes = project / "other" / "explanation-1.json"
    complete = json.loads(notes.read_text())
    found = [{one["pattern"] for one in cell["findings"]} for cell in complete["cells"]]
    assert len(found) == 2
    assert all("channel shuffle" in patterns for patterns in found)
    notes.write_text(json.dumps(complete | {"cells": complete["cells"][:1]}))
    again = explain(project, *words)
    assert again.returncode == 0, again.stderr
    assert json.loads(notes.read_text()) == complete
    assert not (project / "other" / "explanation-2.json").exists()


def test_a_duration_that_is_none_is_bad_use(project: Path) -> None:
    done = explain(project, "--budget", "5 parsecs")
    assert done.returncode == 2
    assert "write it like 90s, 5min or 1h" in done.stderr
