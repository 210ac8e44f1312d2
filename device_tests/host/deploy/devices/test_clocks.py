"""Clocks are held only on request, and given back whatever happens."""

from pathlib import Path
from typing import Any

import pytest

from groundspeed.deploy.devices.clocks import lock, locked, restore
from groundspeed.errors import DeviceRefused


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, governor in ((0, "schedutil"), (4, "ondemand")):
        policy = tmp_path / f"sys/devices/system/cpu/cpufreq/policy{number}"
        policy.mkdir(parents=True)
        (policy / "scaling_governor").write_text(f"{governor}\n")
    return tmp_path


def governors(root: Path) -> list[str]:
    found = sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*/scaling_governor"))
    return [path.read_text().strip() for path in found]


def test_they_are_held_inside_and_as_they_were_outside(link: Any, root: Path) -> None:
    with locked(link, str(root)):
        assert governors(root) == ["performance"] * 2
    assert governors(root) == ["schedutil", "ondemand"]
    assert not Path(link.folder, "clocks").exists()


def test_they_are_given_back_after_an_error(link: Any, root: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(link, str(root)):
        raise ZeroDivisionError
    assert governors(root) == ["schedutil", "ondemand"]


def test_what_a_crash_left_is_given_back_by_whoever_comes_next(link: Any, root: Path) -> None:
    lock(link, str(root))  # and then nothing more is heard of it
    with locked(link, str(root)):  # the next one must not take "performance" for how it was
        assert governors(root) == ["performance"] * 2
    assert governors(root) == ["schedutil", "ondemand"]
    lock(link, str(root))
    assert restore(link, str(root))
    assert governors(root) == ["schedutil", "ondemand"]
    assert not restore(link, str(root))


def test_a_device_without_clocks_is_told(link: Any, tmp_path: Path) -> None:
    with pytest.raises(DeviceRefused, match=r"cannot be held.*leave out --lock-clocks"):
        lock(link, str(tmp_path / "nothing"))
