"""``groundspeed check`` as people and their CI use it: in a git repository of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from device_tests.host.deploy.postgresql_server import PostgreSQLServer

Groundspeed = Callable[..., subprocess.CompletedProcess[str]]

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, {width}, 3), nn.ReLU(), nn.Conv2d({width}, 8, 1)), (
        torch.zeros(1, 3, 32, 32),
    )
"""
RULES = ("--runtimes", "onnxruntime", "--json")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a network, wider in the second commit than in the first."""
    folder = tmp_path_factory.mktemp("project")
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / ".gitignore").write_text("groundspeed-results\n")
    for width in (8, 16):
        (folder / "net.py").write_text(NET.format(width=width))
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", f"width {width}")
    git(folder, "tag", "narrow", "HEAD~1")
    return folder


@pytest.fixture(scope="module")
def unchanged(project: Path, groundspeed: Groundspeed) -> subprocess.CompletedProcess[str]:
    """The first check in the project, of what did not change."""
    return groundspeed("check", "net.py:build", "--baseline", "HEAD", *RULES, cwd=project)


def test_what_did_not_change_passes_without_a_launch(
    unchanged: subprocess.CompletedProcess[str],
) -> None:
    assert unchanged.returncode == 0, unchanged.stderr
    said = json.loads(unchanged.stdout)
    assert said["verdict"] == "pass"
    (one,) = said["comparisons"]
    assert one["baseline"] == one["candidate"]
    assert one["run"] is None
    assert "same file" in one["reason"]


def test_a_changed_network_is_measured_beside_the_old_one(
    project: Path, groundspeed: Groundspeed, tmp_path: Path
) -> None:
    """Time decides which verdict it is; that all reports say the same one, it does not."""
    markdown, junit = tmp_path / "check.md", tmp_path / "check.xml"
    check = ("check", "net.py:build", "--baseline", "narrow", "--pairs", "5", *RULES)
    done = groundspeed(*check, "--markdown", markdown, "--junit", junit, cwd=project)
    said = json.loads(done.stdout)
    (one,) = said["comparisons"]
    assert done.returncode == {"pass": 0, "fail": 1, "inconclusive": 3}[said["verdict"]]
    assert one["baseline"] != one["candidate"]
    assert one["evidence"]["pairs"] == 5
    assert f"Latency: {said['verdict']}" in markdown.read_text()
    suite = ElementTree.fromstring(junit.read_text())
    counts = {"pass": ("0", "0"), "fail": ("1", "0"), "inconclusive": ("0", "1")}
    assert (suite.get("failures"), suite.get("errors")) == counts[said["verdict"]]
    assert git(project, "worktree", "list").count("\n") == 0
    assert git(project, "status", "--porcelain") == ""


def test_a_newer_runtime_is_measured_beside_the_old_one(
    project: Path, groundspeed: Groundspeed
) -> None:
    check = ("check", "net.py:build", "--baseline", "HEAD", "--runtimes", "ncnn", "--pairs", "5")
    old = ("--baseline-packages", "ncnn==1.0.20260526", "--no-blame", "--json")
    done = groundspeed(*check, *old, cwd=project)
    (one,) = json.loads(done.stdout)["comparisons"]
    assert done.returncode in (0, 1, 3), done.stderr
    assert one["baseline"] == one["candidate"]  # the same file, and yet no pass without a launch
    assert one["evidence"]["pairs"] == 5
    assert one["baseline_packages"] == ["ncnn==1.0.20260526"]


def test_other_versions_on_another_device_are_refused_before_anything_is_done(
    project: Path, groundspeed: Groundspeed
) -> None:
    old = ("--baseline-packages", "ncnn==1.0.20260526", "--on", "pi5")
    done = groundspeed("check", "net.py:build", "--baseline", "HEAD", *old, cwd=project)
    assert done.returncode == 2
    assert "works on this machine alone" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("packages", "sentence"),
    [
        ("ncnn", "'ncnn' names no package in an exact version"),
        ("ncnn==0.0.1", "ncnn==0.0.1 cannot be fetched"),
        ("colorama==0.4.5", "neither runs nor made any of the baseline's files"),
    ],
)
def test_packages_that_cannot_be_had_are_bad_use(
    project: Path, groundspeed: Groundspeed, packages: str, sentence: str
) -> None:
    check = ("check", "net.py:build", "--baseline", "HEAD", "--runtimes", "ncnn")
    done = groundspeed(*check, "--baseline-packages", packages, cwd=project)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())


def test_what_is_stored_is_not_exported_again(
    project: Path, groundspeed: Groundspeed, unchanged: subprocess.CompletedProcess[str]
) -> None:
    assert "exporting" in unchanged.stderr
    again = groundspeed("check", "net.py:build", "--baseline", "HEAD", *RULES, cwd=project)
    assert again.returncode == 0, again.stderr
    assert "exporting" not in again.stderr
    assert json.loads(again.stdout)["comparisons"][0]["run"] is None


def test_what_was_compared_at_a_commit_is_not_taken_for_its_network(
    project: Path, groundspeed: Groundspeed, unchanged: subprocess.CompletedProcess[str]
) -> None:
    """At HEAD the old file was measured, too, as a baseline."""
    check = ("check", "net.py:build", "--pairs", "5", *RULES)
    (old,) = json.loads(groundspeed(*check, "--baseline", "narrow", cwd=project).stdout)[
        "comparisons"
    ]
    (new,) = json.loads(groundspeed(*check, "--baseline", "HEAD", cwd=project).stdout)[
        "comparisons"
    ]
    assert new["baseline"] == old["candidate"] != old["baseline"]


def test_a_folder_of_artifacts_is_a_baseline(
    project: Path, groundspeed: Groundspeed, unchanged: subprocess.CompletedProcess[str]
) -> None:
    (one,) = json.loads(unchanged.stdout)["comparisons"]
    stored = project / "groundspeed-results/artifacts" / one["candidate"]
    for subject in ("net.py:build", stored):
        done = groundspeed("check", subject, "--baseline", stored, *RULES, cwd=project)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("net.py:build", "--baseline", "no-such-branch"), "there is no baseline 'no-such-branch'"),
        (("net.py:build", "--baseline", "999"), "no run 999"),
        (("net.py:build", "--baseline", "."), "holds no artifact"),
        (("net.py:build", "--baseline", "HEAD", "--margin", "3"), "is no share"),
        (("net.py:missing", "--baseline", "HEAD"), "missing"),
    ],
)
def test_bad_use_is_one_sentence(
    project: Path, groundspeed: Groundspeed, words: tuple[str, ...], sentence: str
) -> None:
    done = groundspeed("check", *words, *RULES, cwd=project)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not done.stdout


def test_a_clean_checkout_finds_the_old_files_in_a_database(
    project: Path,
    groundspeed: Groundspeed,
    postgresql: PostgreSQLServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = postgresql.new_database()
    check = ("check", "net.py:build", "--pairs", "5", *RULES)
    first, second = tmp_path / "one", tmp_path / "two"
    for checkout in (first, second):
        git(tmp_path, "clone", "--quiet", str(project), str(checkout))
    git(first, "checkout", "--quiet", "narrow")
    done = groundspeed(*check, "--baseline", "HEAD", "--store", address, cwd=first)
    assert done.returncode == 0, done.stderr
    (old,) = json.loads(done.stdout)["comparisons"]

    done = groundspeed(*check, "--baseline", "narrow", "--store", address, cwd=second)
    assert done.returncode in (0, 1, 3), done.stderr
    assert "as of narrow" not in done.stderr  # it was not exported again
    (new,) = json.loads(done.stdout)["comparisons"]
    assert new["baseline"] == old["candidate"]
    assert new["evidence"]["pairs"] == 5

    monkeypatch.setenv("GROUNDSPEED_STORE", address)
    listed = groundspeed("history", "--json", cwd=first)
    assert listed.returncode == 0, listed.stderr
    assert {row["run_id"] for row in json.loads(listed.stdout)} == {new["run"]}
    everything = done.stdout + done.stderr + listed.stdout + listed.stderr
    everything += postgresql.sql("SELECT command FROM run", address.rpartition("/")[2])
    assert "127.0.0.1" in everything
    assert "sesame" not in everything
