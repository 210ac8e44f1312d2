"""What every link promises, on each of them: this machine, and real servers of ssh."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.host.deploy.sshd import Sshd
from groundspeed.deploy.targets.here import HereLink
from groundspeed.deploy.targets.link import Link
from groundspeed.errors import DeviceLost, DeviceRefused

STRANGE = ["a b", "", "'", '"', "$(reboot)", "`x`", "a\nb", "\\", "*", "-n", "ü", "!x", "%s", "a;b"]


@pytest.fixture(params=["here", "ssh"])
def any_link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Link]:
    if request.param == "here":
        yield HereLink(tmp_path / "device")
    else:
        with Sshd(tmp_path) as server:
            link = server.link()
            yield link
            link.close()


@pytest.mark.parametrize("status", [0, 1, 42, 127, 255])
def test_an_exit_status_is_the_commands_own(any_link: Link, status: int) -> None:
    assert any_link.run('exit "$1"', [str(status)]).status == status


def test_a_signal_is_128_and_its_number(any_link: Link) -> None:
    assert any_link.run("kill -9 $$").status == 137


def test_streams_are_apart_and_hold_any_bytes(any_link: Link) -> None:
    data = bytes(range(256)) * 3000
    done = any_link.run("cat; echo oops >&2", stdin=data)
    assert done.stdout == data
    assert done.stderr == b"oops\n"
    assert done.complaint == "oops"


def test_arguments_are_values_never_code(any_link: Link) -> None:
    done = any_link.run('for one in "$@"; do printf "%s\\0" "$one"; done', STRANGE)
    assert done.stdout.decode().split("\0")[:-1] == STRANGE


def test_lines_are_heard_as_they_come(any_link: Link) -> None:
    heard: list[tuple[float, str]] = []
    any_link.run(
        "echo one; sleep 1; echo two; printf three",
        on_line=lambda line: heard.append((time.monotonic(), line)),
    )
    assert [line for _, line in heard] == ["one", "two"]
    assert heard[1][0] - heard[0][0] > 0.5


def test_a_deadline_is_kept(any_link: Link) -> None:
    any_link.run("true")  # connected
    begin = time.monotonic()
    with pytest.raises(DeviceLost):
        any_link.run("sleep 60", timeout_s=1)
    assert time.monotonic() - begin < 20
    assert any_link.run("echo still there").text == "still there"


def test_files_there_and_back_are_equal(any_link: Link, tmp_path: Path) -> None:
    source, back = tmp_path / "it's a file; $(x)", tmp_path / "back"
    source.write_bytes(os.urandom(5_000_000))
    there = f"{any_link.folder}/it's; $(x)"
    any_link.push(source, there, timeout_s=60)
    any_link.pull(there, back, timeout_s=60)
    assert back.read_bytes() == source.read_bytes()


def test_a_file_that_is_not_there_leaves_nothing_here(any_link: Link, tmp_path: Path) -> None:
    with pytest.raises(DeviceRefused):
        any_link.pull(f"{any_link.folder}/missing", tmp_path / "back", timeout_s=30)
    assert not (tmp_path / "back").exists()


def test_a_full_disk_is_told(any_link: Link, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(100_000))
    with pytest.raises(DeviceRefused, match="No space left"):
        any_link.push(source, "/dev/full", timeout_s=30)


def test_the_folder_is_there_and_ours(any_link: Link) -> None:
    assert any_link.run('[ -d "$1" ] && [ -w "$1" ]', [any_link.folder]).status == 0
