"""Every command has help with an example, JSON, and answers bad use with one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from groundspeed.deploy.cli.main import COMMANDS, group


def groundspeed(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundspeed", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=300,
    )


def command_named(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = command_named(name)
    assert command.help is not None
    assert "Example:" in command.help
    assert f"groundspeed {name}" in command.help


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"completion"}))
def test_every_command_can_answer_in_json(name: str) -> None:
    options = {option for parameter in command_named(name).params for option in parameter.opts}
    assert "--json" in options


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    for parameter in command_named(name).params:
        assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_complete_groundspeed(shell: str) -> None:
    result = groundspeed("completion", shell)
    assert result.returncode == 0
    assert "_GROUNDSPEED_COMPLETE" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["models", "nothing-like-this"],
        ["inspect", "no/such/file.py:build"],
        ["inspect", "shufflenet_v2_x1_0", "--input-shape", "1,zero"],
        ["export", "squeezenet1_1", "--to", "caffe"],
        ["export", "squeezenet1_1", "--precision", "fp7"],
        ["export", "squeezenet1_1", "--weights", "missing.pt"],
        ["bench", "no-such-artifact"],
        ["eval", "no-such-artifact", "--data", "mnist:test"],
        ["eval", "no-such.onnx", "--data", "mnist:test"],
        ["profile", "no-such-artifact"],
        ["train", "squeezenet1_1", "--data", "nowhere:train", "-o", "weights.safetensors"],
        ["train", "squeezenet1_1", "--data", "mnist:train", "-o", "weights.pt"],
        ["run", "mobilnet_v2"],
        ["run", "squeezenet1_1", "--runtimes", "tensorflow"],
        ["run", "squeezenet1_1", "--threads", "0"],
        ["report", "--store", "nowhere"],
        ["history", "--store", "nowhere"],
    ],
    ids=" ".join,
)
def test_bad_use_is_one_sentence_and_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    result = groundspeed(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.strip()
    assert not list(tmp_path.iterdir()), "bad use leaves nothing behind"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = groundspeed("--debug", "inspect", "missing.onnx", cwd=tmp_path)
    assert result.returncode != 0
    assert "Traceback" in result.stderr


def test_models_as_json_have_name_parameters_and_macs() -> None:
    result = groundspeed("models", "squeezenet*", "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["squeezenet1_1"]["parameters"] == 1_235_496
    assert rows["squeezenet1_1"]["macs"] == 349_151_936


def test_inspect_counts_what_torch_counts(tmp_path: Path) -> None:
    result = groundspeed("inspect", "resnet18", "--json", cwd=tmp_path)
    inspection = json.loads(result.stdout)
    assert inspection["macs"] == 1_814_073_344
    assert inspection["parameters"] == 11_689_512
    assert sum(op["macs"] for op in inspection["ops"]) == inspection["macs"]
