"""What every link promises, on each of them: this machine, a server of ssh, a phone of adb."""

import os
import time
from pathlib import Path

import pytest

from groundspeed.deploy.targets.link import Link
from groundspeed.errors import DeviceLost, DeviceRefused

STRANGE = ["a b", "", "'", '"', "$(reboot)", "`x`", "a\nb", "\\", "*", "-n", "ü", "!x", "%s", "a;b"]


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


def test_much_is_said_before_all_is_read(any_link: Link) -> None:
    data = os.urandom(3_000_000)
    assert any_link.run("cat", stdin=data).stdout == data
    assert any_link.run("head -c 1", stdin=data).stdout == data[:1]


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


def test_a_folder_where_nothing_can_be_started_is_refused(
    any_link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "chmod").write_text("#!/bin/sh\n")  # leaves no file executable, as noexec does
    (tools / "chmod").chmod(0o755)
    run = any_link.run
    before = f"PATH={tools}:$PATH\n"
    monkeypatch.setattr(any_link, "run", lambda script, *more: run(before + script, *more))
    with pytest.raises(DeviceRefused, match="programs cannot be started from"):
        _ = any_link.folder


def test_the_folder_is_there_and_ours(any_link: Link) -> None:
    assert any_link.run('[ -d "$1" ] && [ -w "$1" ]', [any_link.folder]).status == 0
