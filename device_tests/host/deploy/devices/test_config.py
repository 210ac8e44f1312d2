"""Devices named in groundspeed.toml: what is meant, and what is told when it is not clear."""

from pathlib import Path

import pytest

from groundspeed.deploy.devices.config import find_config, find_device, read_devices
from groundspeed.deploy.targets.address import Address
from groundspeed.errors import UsageError

GOOD = """
[devices]
pi5 = "ssh://pi@10.0.0.7"
shelf = ["adb://R58M123", "adb://R58M456"]

[devices.old-board]
address = "ssh://root@board"
agent = "native"
libraries = "libs/android"
folder = "/mnt/sd/groundspeed"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "groundspeed.toml"
    path.write_text(text)
    return path


def test_names_addresses_and_settings(tmp_path: Path) -> None:
    devices = read_devices(write(tmp_path, GOOD))
    assert list(devices) == ["pi5", "shelf", "old-board"]
    assert devices["pi5"].addresses == (Address(scheme="ssh", user="pi", host="10.0.0.7"),)
    assert [address.host for address in devices["shelf"].addresses] == ["R58M123", "R58M456"]
    assert devices["old-board"].agent == "native"
    assert devices["old-board"].libraries == tmp_path / "libs/android"
    assert devices["old-board"].folder == "/mnt/sd/groundspeed"


def test_the_nearest_file_above_counts(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    assert find_config(inner) == path


def test_no_file_no_devices() -> None:
    assert read_devices(None) == {}


def test_a_file_without_devices_is_one_of_other_settings(tmp_path: Path) -> None:
    assert read_devices(write(tmp_path, "[check]\nmargin = 0.03\n")) == {}


def test_an_address_needs_no_name(tmp_path: Path) -> None:
    assert find_device("adb://X1", {}).addresses == (Address(scheme="adb", host="X1"),)
    assert find_device("local", {}).addresses == (Address(scheme="local"),)


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    devices = read_devices(write(tmp_path, GOOD))
    with pytest.raises(UsageError, match=r"no device 'pi4'; did you mean pi5\?"):
        find_device("pi4", devices)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("devices = 3", "must be a table"),
        ("[devices]\npi = 3", "needs an address"),
        ("[devices]\npi = []", "needs an address"),
        ("[devices]\npi = 'board'", "'pi': 'board' is no address"),
        ("[devices]\nlocal = 'ssh://board'", "no device may be called 'local'"),
        ("[devices.pi]\naddress = 'ssh://board'\nfolder = 'mine'", "an absolute path there"),
        ("[devices.pi]\nadress = 'ssh://board'", "did you mean address"),
        ("[devices.pi]\naddress = 'ssh://board'\nagent = 'java'", "no agent 'java'"),
        ("[devices.pi]\naddress = 'ssh://board'\npython = 3", "'python' of .* must be a text"),
        ("[devices", "cannot be read"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        read_devices(write(tmp_path, text))
    assert "groundspeed.toml" in str(caught.value)
