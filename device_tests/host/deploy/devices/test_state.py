"""The state of a device: recorded phones and boards, and this machine in every shell."""

import os
import platform
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.devices.state import cpu_numbers, parse_state, read_state
from groundspeed.deploy.targets.link import Finished
from groundspeed.errors import DeviceRefused


def recorded(device: str) -> str:
    return Path(__file__).with_name("recorded").joinpath(f"{device}.txt").read_text()


def test_a_phone() -> None:
    state = parse_state(recorded("phone"))
    assert state.model == "Google Pixel 7"
    assert state.system.startswith("google/panther")
    assert state.android
    assert not state.root
    assert state.cpus == tuple(range(8))
    assert [policy.cpus for policy in state.policies] == [(0, 1, 2, 3), (4, 5), (6, 7)]
    assert state.policies[2].possible_hz == 2.85e9
    assert state.throttled is True  # the big cores are held below what they can
    assert state.temperatures_c == {"battery": 31.0, "VIRTUAL-SKIN": 33.5}
    assert state.battery == 0.83
    assert state.charging is True
    assert state.awake is True
    assert state.low_power is False
    assert state.foreground == "com.google.android.apps.nexuslauncher"
    assert state.machine.governor == "sched_pixel"
    assert "asimddp" in state.features
    assert state.conditions.frequencies_hz is not None
    assert state.conditions.frequencies_hz["cpu5"] == 1.197e9
    assert state.free_bytes == 54321000 * 1024


def test_a_raspberry_that_was_throttled_once_is_not_so_now() -> None:
    state = parse_state(recorded("raspberry"))
    assert state.model == "Raspberry Pi 5 Model B Rev 1.0"
    assert state.throttled is False
    assert parse_state(recorded("raspberry").replace("0x50000", "0x50005")).throttled is True
    assert state.temperatures_c == {"cpu-thermal": 52.3}
    assert state.python == "3.11.2"
    assert not state.android


def test_what_a_board_does_not_say_is_not_guessed() -> None:
    state = parse_state(recorded("router"))
    assert state.cpus == (0, 1)
    unknown = (state.throttled, state.battery, state.charging, state.awake, state.free_bytes)
    assert unknown == (None,) * 5
    assert state.temperatures_c == {}
    assert state.emulated is None
    assert state.root


def test_a_foreign_kernel_gives_an_emulator_away() -> None:
    assert parse_state(recorded("qemu_user")).emulated is True
    native = recorded("qemu_user").replace("aarch64", "x86_64")
    assert parse_state(native).emulated is None


def test_this_machine_in_every_shell(link: Any) -> None:
    state = read_state(link)
    assert state.name == platform.node()
    assert state.architecture == platform.machine()
    assert len(state.cpus) == os.cpu_count()
    assert state.load is not None
    assert state.memory_bytes is not None
    assert state.free_bytes is not None
    assert {"setsid", "sha256sum", "python3"} <= set(state.tools)


def test_files_of_a_phone_in_every_shell(link: Any, tmp_path: Path) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu, capacity in enumerate((300, 1024)):
        policy = cpus / f"cpufreq/policy{cpu}"
        policy.mkdir(parents=True)
        (cpus / f"cpu{cpu}").mkdir()
        (cpus / f"cpu{cpu}/cpu_capacity").write_text(f"{capacity}\n")
        for name, value in {
            "related_cpus": cpu,
            "scaling_cur_freq": 500_000,
            "scaling_max_freq": 1_000_000,
            "cpuinfo_max_freq": 2_000_000,
            "scaling_governor": "schedutil",
        }.items():
            (policy / name).write_text(f"{value}\n")
    (cpus / "online").write_text("0-1\n")
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu=0 usr\n")
    (zone / "temp").write_text("41200\n")
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Fake Board\0")
    (tmp_path / "proc/cpuinfo").write_text("Features\t: fp asimd asimddp\nCPU part\t: 0xd05\n")
    state = read_state(link, str(tmp_path))
    assert state.model == "Fake Board"
    assert state.capacities == {0: 300, 1: 1024}
    assert [policy.current_hz for policy in state.policies] == [5e8, 5e8]
    assert state.throttled is True
    assert state.features == ("asimd", "asimddp")
    assert state.parts == {0: "0xd05"}


def test_a_shell_that_is_none_is_told() -> None:
    class Strange:
        name, folder = "ssh://switch", "/tmp"

        def run(self, *given: Any, **more: Any) -> Finished:
            return Finished(status=1, stdout=b"", stderr=b"% Invalid input\n")

    with pytest.raises(DeviceRefused, match=r"Invalid input.*POSIX shell"):
        read_state(Strange())  # type: ignore[arg-type]


@given(st.text())
def test_whatever_a_device_says_is_no_crash(text: str) -> None:
    parse_state(text)


KEYS = [line.split("=", 1)[0] for line in recorded("phone").splitlines()]


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=12)))
def test_known_keys_with_strange_values_are_no_crash(said: dict[str, str]) -> None:
    state = parse_state("\n".join(f"{key}={value}" for key, value in said.items()))
    assert state.battery is None or state.battery == state.battery


@given(st.lists(st.integers(0, 200), max_size=20))
def test_numbers_of_cpus_in_the_kernels_spelling(numbers: list[int]) -> None:
    assert cpu_numbers(",".join(map(str, numbers))) == tuple(numbers)
    assert cpu_numbers(" ".join(map(str, numbers))) == tuple(numbers)
    assert cpu_numbers("0-3,7") == (0, 1, 2, 3, 7)
