"""``groundspeed init``: what it writes is what the other commands read."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from groundspeed.deploy.cli.init import command
from groundspeed.deploy.devices.config import read_devices
from groundspeed.deploy.gate.config import read_check

Groundspeed = Callable[..., subprocess.CompletedProcess[str]]
OPTIONS = (
    "baseline",
    "runtimes",
    "precision",
    "threads",
    "on",
    "margin",
    "level",
    "pairs",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_configuration_is_read_back(project: Path) -> None:
    odd = 'nets/größe "7".py:build'
    assert CliRunner().invoke(command, [odd, "--baseline", "release"]).exit_code == 0
    found = read_check(project / "groundspeed.toml", OPTIONS)
    assert found.networks == (odd,)
    assert found.options["baseline"] == "release"
    assert set(found.options) == set(OPTIONS)
    assert not found.budget.is_set
    assert read_devices(project / "groundspeed.toml") == {}


def test_every_budget_and_device_that_is_hinted_at_exists(project: Path) -> None:
    CliRunner().invoke(command, ["net"])
    path = project / "groundspeed.toml"
    lines = path.read_text().splitlines()
    hints = [line.removeprefix("# ") if " = " in line or "[dev" in line else line for line in lines]
    path.write_text("\n".join(hints))
    found = read_check(path, OPTIONS)
    assert found.budget.is_set
    assert set(read_devices(path)) == {"pi5", "pixel"}


def test_the_workflow_checks_against_where_the_change_comes_from(project: Path) -> None:
    CliRunner().invoke(command, ["net"])
    workflow = yaml.safe_load((project / ".github/workflows/groundspeed.yml").read_text())
    steps = workflow["jobs"]["check"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 0
    (check,) = [step["run"] for step in steps if "groundspeed check" in step.get("run", "")]
    assert "--baseline" in check
    assert "\n" not in check.strip()


def test_nothing_is_written_over(project: Path) -> None:
    (project / "groundspeed.toml").write_text("# mine\n")
    done = CliRunner().invoke(command, ["net"])
    assert done.exit_code != 0
    assert "groundspeed.toml exist already; add --force" in str(done.exception)
    assert (project / "groundspeed.toml").read_text() == "# mine\n"
    assert not (project / ".github").exists()
    assert CliRunner().invoke(command, ["net", "--force"]).exit_code == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("margin = 3.0", "'margin' of [check]: '3.0' is no share"),
        ("strict = 'yes'", "'strict' of [check] must be true or false, not 'yes'"),
        ("pairs = 2", "'pairs' of [check]"),
        ("baseline = 'main'", "what is to be checked?"),
    ],
)
def test_check_says_what_is_wrong_with_the_file(
    project: Path, groundspeed: Groundspeed, text: str, sentence: str
) -> None:
    (project / "groundspeed.toml").write_text(f"[check]\n{text}\n")
    done = groundspeed("check", cwd=project)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "groundspeed.toml" in done.stderr
