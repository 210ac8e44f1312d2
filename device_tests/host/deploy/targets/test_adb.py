"""The real adb against phones that ask, refuse, break off, freeze, and are old."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_tests.host.stand_ins.adb import link_to, stop
from device_tests.host.stand_ins.phone import Phone
from groundspeed.deploy.targets.adb import AdbLink, Attached, attached, parse_attached
from groundspeed.deploy.targets.adb_server import AdbServer
from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.here import HereLink
from groundspeed.errors import DeviceLost, DeviceRefused, GroundspeedError, MissingExtra


@pytest.fixture
def phone() -> Iterator[Phone]:
    with Phone() as running:
        yield running


@pytest.fixture
def link(phone: Phone, adb_server: AdbServer, tmp_path: Path) -> AdbLink:
    return link_to(phone, adb_server, tmp_path)


def sleeping(link: AdbLink) -> tuple[threading.Thread, list[object]]:
    """Run something long, and return where its end will be."""
    ends: list[object] = []
    begun = threading.Event()

    def run() -> None:
        try:
            ends.append(link.run("echo begun; sleep 60", on_line=lambda _: begun.set()))
        except GroundspeedError as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30)
    return thread, ends


def test_a_phone_that_is_cut_off_is_lost_at_once_and_found_again(
    phone: Phone, link: AdbLink
) -> None:
    thread, ends = sleeping(link)
    phone.cut()
    thread.join(20)
    assert isinstance(ends[0], DeviceLost)
    assert link.run("echo back").text == "back"


def test_a_server_that_is_killed_is_lost_at_once_and_started_again(
    link: AdbLink, adb_server: AdbServer
) -> None:
    thread, ends = sleeping(link)
    stop(adb_server)
    thread.join(20)
    assert isinstance(ends[0], DeviceLost)
    assert link.run("echo back").text == "back"


def test_a_lost_exit_status_is_no_success(phone: Phone, link: AdbLink) -> None:
    phone.loses_exit = True
    with pytest.raises(DeviceLost):
        link.run("echo all is said")
    assert link.run("exit 3").status == 3


def test_a_frozen_phone_is_lost_at_the_deadline_and_found_when_it_goes_on(
    phone: Phone, link: AdbLink
) -> None:
    link.run("true")
    phone.freeze()
    begin = time.monotonic()
    with pytest.raises(DeviceLost):
        link.run("echo hello", timeout_s=2)
    assert time.monotonic() - begin < 15
    phone.thaw()
    assert link.run("echo hello").text == "hello"


@pytest.mark.parametrize("fault", ["cut_after", "freeze_after"])
def test_a_push_that_breaks_off_is_no_success(
    phone: Phone, link: AdbLink, tmp_path: Path, fault: str
) -> None:
    source, there = tmp_path / "source", f"{link.folder}/there"
    source.write_bytes(os.urandom(5_000_000))
    setattr(phone, fault, 2_000_000)
    with pytest.raises(DeviceLost):
        link.push(source, there, timeout_s=3)
    phone.thaw()
    link.push(source, there, timeout_s=60)
    assert Path(there).read_bytes() == source.read_bytes()


def test_a_pull_that_breaks_off_leaves_nothing_here(
    phone: Phone, link: AdbLink, tmp_path: Path
) -> None:
    there = Path(link.folder, "there")
    there.write_bytes(os.urandom(5_000_000))
    phone.cut_after = 2_000_000
    with pytest.raises(DeviceLost):
        link.pull(str(there), tmp_path / "back", timeout_s=30)
    assert not (tmp_path / "back").exists()


def test_nobody_writes_to_a_connection_that_is_closed(
    link: AdbLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[object] = []

    def late(channel: Any, stdin: bytes) -> None:
        time.sleep(0.5)  # the command has ended
        try:
            channel.write(stdin)
        except Exception as error:
            ends.append(error)

    monkeypatch.setattr("groundspeed.deploy.targets.adb_server._feed", late)
    assert link.run("exit 3", stdin=b"x").status == 3
    assert [type(end) for end in ends] == [DeviceLost]


def test_an_owner_who_has_not_accepted_is_asked_to(adb_server: AdbServer, tmp_path: Path) -> None:
    with Phone(asks=True) as phone:
        link = link_to(phone, adb_server, tmp_path)
        with pytest.raises(DeviceRefused, match="unlock it and accept the key"):
            link.run("true")
        phone.accepts.set()
        assert link.run("echo hello").text == "hello"


def test_an_old_phone_says_its_exit_status_too(adb_server: AdbServer, tmp_path: Path) -> None:
    with Phone(old=True) as phone:
        link = link_to(phone, adb_server, tmp_path)
        heard: list[str] = []
        done = link.run('echo "$1"; exit 42', ["it's"], on_line=heard.append)
        assert (done.status, done.stdout, heard) == (42, b"it's\n", ["it's"])
        with pytest.raises(DeviceRefused, match="before Android 7"):
            link.run("cat", stdin=b"data")
        thread, ends = sleeping(link)
        phone.cut()
        thread.join(20)
        assert isinstance(ends[0], DeviceLost)


def test_a_phone_that_is_off_is_lost(link: AdbLink, phone: Phone) -> None:
    phone.__exit__(None, None, None)
    with pytest.raises(DeviceLost, match=r"cannot be reached \(.*[Cc]onnect"):
        link.run("true")


def test_a_serial_that_nobody_has_is_lost(adb_server: AdbServer) -> None:
    with pytest.raises(DeviceLost, match="adb://0A1B2C: there is no such phone"):
        AdbLink(Address(scheme="adb", host="0A1B2C"), server=adb_server).run("true")


def test_attached_phones_are_listed(link: AdbLink, phone: Phone, adb_server: AdbServer) -> None:
    link.run("true")
    assert Attached(serial=phone.serial, state="device", model="Stand in") in attached(adb_server)


def test_without_the_program_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingExtra, match="apt-get install adb"):
        attached(AdbServer(port=1))


def test_no_client_is_left_behind_by_an_interruption(
    link: AdbLink, tmp_path: Path, phone: Phone
) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(5_000_000))
    folder = link.folder
    phone.freeze_after = 2_000_000
    with pytest.raises(DeviceLost):
        link.push(source, f"{folder}/there", timeout_s=1)
    running = HereLink(tmp_path / "here").run('pgrep -f "adb .*push $1"', [str(source)])
    assert running.text == ""
    phone.thaw()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "0A1B2C3D   device usb:1-2 product:oriole model:Pixel_6 device:oriole transport_id:3",
            Attached(serial="0A1B2C3D", state="device", model="Pixel 6"),
        ),
        (
            "0A1B2C3D   unauthorized usb:1-2 transport_id:3",
            Attached(serial="0A1B2C3D", state="unauthorized", model=""),
        ),
        (
            "10.0.0.2:5555          offline transport_id:1",
            Attached(serial="10.0.0.2:5555", state="offline", model=""),
        ),
        (
            "????????????    no permissions (user in plugdev group; are your udev rules wrong?); "
            "see [http://developer.android.com/tools/device.html] usb:1-2 transport_id:2",
            Attached(serial="????????????", state="no permissions", model=""),
        ),
    ],
)
def test_lines_of_adb_devices(line: str, expected: Attached) -> None:
    assert parse_attached(line) == expected
