"""Changes that came together are told apart by real launches, of real older packages, too."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from groundspeed.artifact import Artifact, Step
from groundspeed.deploy.gate.baseline import Loaded, export_in
from groundspeed.deploy.gate.comparing import Contest, compare
from groundspeed.deploy.gate.culprits import Culprits
from groundspeed.deploy.gate.decision import Rules
from groundspeed.deploy.gate.origins import Origins
from groundspeed.deploy.gate.split import (
    NETWORK,
    PACKAGES,
    RUNTIME,
    Effect,
    Factor,
    Split,
    factors,
    split,
)
from groundspeed.deploy.report.check_culprits import sentences
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import CheckError

MakeArtifact = Callable[..., Artifact]
LOCAL = LocalTarget()
ENGINE, CONVERTER = "ncnn==1.0.20260526", "pnnx==20260526"

NETWORK_FILE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Conv2d(16, 16, 3, padding=1) for _ in range({layers})))
"""


def with_(artifact: Artifact, **values: object) -> Artifact:
    manifest = dataclasses.replace(artifact.manifest, **values)  # type: ignore[arg-type]
    return dataclasses.replace(artifact, manifest=manifest)


@pytest.mark.parametrize(
    ("by", "digest", "packages", "expected"),
    [
        ("onnx 1.0", "same", (), []),
        ("onnx 1.1", "same", (), [(PACKAGES, "onnx was 1.0, is 1.1")]),
        (
            "onnxsim 1.0",
            "same",
            (),
            [(PACKAGES, "onnx was 1.0, is not used, onnxsim was not used, is 1.0")],
        ),
        ("onnx 1.0", "other", (), [(NETWORK, "")]),
        ("onnx 1.1", "other", (), [(NETWORK, ""), (PACKAGES, "onnx was 1.0, is 1.1")]),
        (
            "onnx 1.0",
            "same",
            ("ncnn==1.0",),
            [(RUNTIME, f"ncnn was 1.0, is {version('ncnn')}")],
        ),
    ],
)
def test_what_changed_is_told_from_the_manifests_and_the_launches(
    make_artifact: MakeArtifact,
    by: str,
    digest: str,
    packages: tuple[str, ...],
    expected: list[tuple[str, str]],
) -> None:
    plain = make_artifact("net")
    old_source = dataclasses.replace(plain.manifest.source, digest="same")
    new_source = dataclasses.replace(plain.manifest.source, digest=digest)
    old = with_(plain, source=old_source, steps=(Step(name="to_onnx", by="onnx 1.0"),))
    new = with_(plain, source=new_source, steps=(Step(name="to_onnx", by=by),))
    found = factors(Contest(baseline=old, candidate=new, packages=packages))
    assert [(one.name, one.change) for one in found] == expected


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository whose network has 2 layers in its commit and 8 in its folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "net.py").write_text(NETWORK_FILE.format(layers=2))
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "two layers")
    monkeypatch.chdir(folder)
    return folder


def exported(spec: str, project: Path) -> Artifact:
    options = ["--to", "ncnn", "--input-shape=1,16,48,48", "-o", "made"]
    subprocess.run(
        [sys.executable, "-m", "groundspeed", "export", spec, *options],
        cwd=project,
        check=True,
        capture_output=True,
    )
    return Artifact.open(project / "made" / "build-ncnn-fp32")


def test_network_packages_and_runtime_are_told_apart(project: Path, store: Store) -> None:
    loaded, like = Loaded(input_shapes=((1, 16, 48, 48),)), exported("net.py:build", project)
    (old,) = export_in(project, "as it is", [like], loaded, store=store, packages=[CONVERTER])
    assert old.manifest.packages["pnnx"] == "20260526"
    commit = git(project, "rev-parse", "HEAD")
    (project / "net.py").write_text(NETWORK_FILE.format(layers=8))
    (new,) = export_in(project, "as it is", [like], loaded, store=store)
    contest = Contest(baseline=old, candidate=new, packages=(ENGINE,))

    comparison = compare(contest, store=store, target=LOCAL, rules=Rules(pairs=5))
    assert comparison.result is not None
    versions = [cell.launches[0].runtime_version for cell in comparison.result.cells]
    assert versions == ["1.0.20260526", version("ncnn")]

    found = split(contest, Origins(commit=commit, loaded=loaded), store=store, target=LOCAL)
    assert not found.missing
    assert found.combinations == 8
    effects = {one.factor.name: one for one in found.effects}
    assert set(effects) == {NETWORK, PACKAGES, RUNTIME}
    assert found.effects[0].factor.name == NETWORK
    assert effects[NETWORK].low > math.log(1.5)  # four times the work
    for name in (PACKAGES, RUNTIME):
        assert abs(effects[name].estimate) < math.log(1.5)


def test_what_cannot_be_made_again_or_run_is_said(
    make_artifact: MakeArtifact, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = with_(make_artifact("net"), steps=(Step(name="to_onnx", by="onnxsim 0.1"),))
    source = dataclasses.replace(old.manifest.source, digest="other")
    new = with_(old, source=source, steps=(Step(name="to_onnx", by="onnxsim 0.2"),))
    contest = Contest(baseline=store.keep(old), candidate=new)
    assert [one.name for one in factors(contest)] == [NETWORK, PACKAGES]

    def refused(*_: object, packages: tuple[str, ...], **__: object) -> list[Artifact]:
        raise CheckError(f"the package index has no {packages[0]}")

    monkeypatch.setattr("groundspeed.deploy.gate.origins.export_in", refused)
    found = split(contest, Origins(), store=store, target=LOCAL)
    assert not found.effects
    assert any("nobody knows the commit" in each for each in found.missing)
    assert any("has no onnxsim==0.1" in each for each in found.missing)
    # The two that are there hold a few bytes that are no network.
    assert any("cannot be run" in each for each in found.missing)
    assert found.combinations == 0
    words = sentences(Culprits(changed=("one", "two"), split=found))
    assert words[0] == "one and two changed together"
    assert sum("a combination is missing" in each for each in words) == len(found.missing)


@pytest.mark.parametrize("kept", ["groundspeed 0.0.1", "torch 1.0"])
def test_a_manifest_cannot_ask_for_just_any_package(
    make_artifact: MakeArtifact, store: Store, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    monkeypatch.setattr("groundspeed.deploy.gate.origins.export_in", pytest.fail)
    plain = make_artifact("net")
    source = dataclasses.replace(plain.manifest.source, digest="other")
    for old_by, new_by in ((kept, kept.replace("1", "2")), ("stranger 1", "onnxsim 1")):
        old = store.keep(with_(plain, steps=(Step(name="to_onnx", by=old_by),)))
        new = with_(plain, source=source, steps=(Step(name="to_onnx", by=new_by),))
        found = split(Contest(baseline=old, candidate=new), Origins(), store=store, target=LOCAL)
        assert any("cannot be changed back" in each for each in found.missing)


def test_effects_are_said_with_their_intervals() -> None:
    effect = Effect(factor=Factor(name=NETWORK), estimate=math.log(1.1), low=0.0, high=0.2)
    found = Split(effects=(effect,), rounds=10, combinations=4)
    words = sentences(Culprits(changed=("one", "two"), split=found))
    assert "from 4 combinations of old and new, side by side in 10 rounds" in words[1]
    assert words[2] == "+10.0 % [+0.0, +22.1]: the network"
