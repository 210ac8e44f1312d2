"""What a run needs of a device, and what to do about what is missing."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from groundspeed.deploy.devices import doctor
from groundspeed.deploy.devices.config import Device, find_device
from groundspeed.deploy.devices.doctor import Check, Grade, examine, worst
from groundspeed.deploy.devices.state import State, parse_state
from groundspeed.errors import DeviceLost

# A link to a bare folder of programs must be told which Python has the engines.
HERE = dataclasses.replace(find_device("local", {}), python=sys.executable)


def recorded(device: str) -> State:
    return parse_state(Path(__file__).with_name("recorded").joinpath(f"{device}.txt").read_text())


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch, link: Any) -> Any:
    def look(state: State, device: Device = HERE) -> dict[str, Check]:
        monkeypatch.setattr(doctor, "read_state", lambda link: state)
        return {check.name: check for check in examine(device, link)}

    return look


def test_this_machine_is_fit(link: Any) -> None:
    checks = list(examine(HERE, link))
    assert [check.name for check in checks][:4] == ["reachable", "space", "tools", "runtimes"]
    assert worst(checks) is not Grade.BAD


def test_a_phone_that_is_held_down(examined: Any) -> None:
    checks = examined(recorded("phone"))
    assert checks["clocks"].grade is Grade.MIND
    assert "CPU 6 is held at 1.83 GHz, it can 2.85" in checks["clocks"].found
    assert checks["heat"].grade is Grade.MIND
    assert checks["runtimes"].found.startswith("the native agent")
    assert "2 of one kind (CPU 6-7)" in checks["cores"].found
    assert checks["power"].found == "battery 83%, charging"


def test_a_screen_that_is_off_an_empty_battery_a_saving_mode(examined: Any) -> None:
    phone = recorded("phone")
    assert examined(dataclasses.replace(phone, awake=False))["screen"].grade is Grade.MIND
    empty = examined(dataclasses.replace(phone, battery=0.1, charging=False))["power"]
    assert (empty.grade, empty.advice) == (Grade.MIND, "charge it first")
    saving = examined(dataclasses.replace(phone, low_power=True))["power"]
    assert saving.advice == "turn that off"


def test_a_board_without_tools_cannot_be_used(examined: Any) -> None:
    checks = examined(recorded("router"))
    assert checks["tools"].grade is Grade.BAD
    assert "no setsid and no sha256sum" in checks["tools"].found
    assert worst(list(checks.values())) is Grade.BAD


def test_a_board_whose_python_has_no_engine_is_told_how_to_get_one(
    examined: Any, tmp_path: Path
) -> None:
    empty = tmp_path / "python3"
    empty.write_text("#!/bin/sh\nexit 0\n")
    empty.chmod(0o755)
    device = dataclasses.replace(HERE, name="pi5", python=str(empty))
    check = examined(recorded("raspberry"), device)["runtimes"]
    assert check.grade is Grade.BAD
    assert check.advice == "groundspeed devices provision pi5"


def test_an_emulated_device_says_so(examined: Any) -> None:
    assert "say nothing" in examined(recorded("qemu_user"))["real"].advice


def test_a_device_that_is_not_there_is_the_only_finding(
    monkeypatch: pytest.MonkeyPatch, link: Any
) -> None:
    def lost(link: Any) -> State:
        raise DeviceLost("ssh://pi5 cannot be reached")

    monkeypatch.setattr(doctor, "read_state", lost)
    (check,) = examine(HERE, link)
    assert (check.grade, check.found) == (Grade.BAD, "ssh://pi5 cannot be reached")
