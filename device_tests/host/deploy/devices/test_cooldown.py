"""A hot device is waited for, with a limit, and never for ever."""

import dataclasses
from typing import Any

import pytest

from groundspeed.deploy.devices import cooldown
from groundspeed.deploy.devices.cooldown import cool_down, hot
from groundspeed.deploy.devices.state import State, parse_state

COOL = parse_state("name=phone\nend=1")
WARM = dataclasses.replace(COOL, temperatures_c={"battery": 41.5})
HELD = dataclasses.replace(COOL, throttled=True)


class Device:
    """A device that goes through some states and stays in the last."""

    name, folder = "adb://X", "/tmp"

    def __init__(self, *states: State) -> None:
        self._states = list(states)

    def next(self) -> State:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(cooldown, "read_state", lambda device: device.next())
    said: list[str] = []
    pauses: list[float] = []

    def wait(*states: State, limit_s: float = 60) -> Any:
        device: Any = Device(*states)
        found = cool_down(device, limit_s=limit_s, on_progress=said.append, sleep=pauses.append)
        return found, pauses, said

    return wait


def test_a_cool_device_is_not_waited_for(waits: Any) -> None:
    found, pauses, said = waits(COOL)
    assert found.ready
    assert (pauses, said) == ([], [])


def test_a_hot_one_is_waited_for_with_a_word(waits: Any) -> None:
    found, pauses, said = waits(WARM, HELD, COOL)
    assert found.ready
    assert len(pauses) == 2
    assert "its battery has 42 °C" in said[0]
    assert "holds its clocks down" in said[1]


def test_one_that_stays_hot_is_given_up_with_the_reason(waits: Any) -> None:
    found, pauses, _ = waits(HELD, limit_s=25)
    assert not found.ready
    assert sum(pauses) == 25
    assert "clocks" in found.reason


def test_nothing_said_is_not_hot() -> None:
    assert hot(COOL) == ""
