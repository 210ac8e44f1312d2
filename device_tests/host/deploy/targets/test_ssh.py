"""OpenSSH's client against servers that refuse, break off and freeze."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.host.deploy.sshd import Sshd
from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.here import HereLink
from groundspeed.deploy.targets.ssh import SshLink
from groundspeed.errors import DeviceLost, DeviceRefused, MissingExtra


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path) as running:
        yield running


@pytest.fixture
def link(server: Sshd) -> Iterator[SshLink]:
    opened = server.link()
    yield opened
    opened.close()


def test_a_host_that_nobody_knows_is_refused_with_what_to_do(server: Sshd, link: SshLink) -> None:
    (server.folder / "known_hosts").unlink()
    with pytest.raises(DeviceRefused, match=r"not known here; connect once by 'ssh board'"):
        link.run("true")


def test_a_host_whose_key_changed_is_refused_with_what_to_do(server: Sshd, link: SshLink) -> None:
    server.make_key("another")
    server.trust("another")
    with pytest.raises(DeviceRefused, match=r"host key changed.*ssh-keygen -R"):
        link.run("true")


def test_without_a_key_nobody_is_asked_for_a_password(server: Sshd, link: SshLink) -> None:
    (server.folder / "id").unlink()
    server.make_key("other")
    (server.folder / "other").rename(server.folder / "id")
    with pytest.raises(DeviceRefused, match="ssh-copy-id"):
        link.run("true")


def test_a_name_that_is_no_host(server: Sshd) -> None:
    link = SshLink(Address(scheme="ssh", host="no-such-host.invalid"))
    with pytest.raises(DeviceRefused, match="cannot be found"):
        link.run("true")
    link.close()


def test_a_board_that_is_off(server: Sshd, link: SshLink) -> None:
    server.stop()
    with pytest.raises(DeviceLost, match=r"cannot be reached .*refused"):
        link.run("true")


def test_a_board_that_dies_in_the_middle_is_lost_and_found_again(
    server: Sshd, link: SshLink
) -> None:
    link.run("true")
    ends: list[object] = []

    def sleeping() -> None:
        try:
            ends.append(link.run("echo begun; sleep 60; exit 3"))
        except DeviceLost as error:
            ends.append(error)

    thread = threading.Thread(target=sleeping)
    thread.start()
    time.sleep(1)
    server.stop()
    thread.join(timeout=30)
    assert isinstance(ends[0], DeviceLost)
    with server:
        assert link.run("echo back").text == "back"


def test_a_board_that_freezes_is_lost_in_good_time(server: Sshd, link: SshLink) -> None:
    link.run("true")
    frozen = server.sessions()
    server.stop(signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(DeviceLost):
        link.run("echo hello", timeout_s=3)
    assert time.monotonic() - begin < 15
    assert frozen
    server.stop(signal.SIGCONT)
    assert link.run("echo hello").text == "hello"


def test_one_connection_serves_every_command(server: Sshd, link: SshLink) -> None:
    for _ in range(3):
        link.run("true")
    log = (server.folder / "log").read_text()
    assert log.count("Accepted publickey") == 1


def test_without_the_program_the_message_says_how_to_install_it(
    server: Sshd, link: SshLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingExtra, match="apt-get install openssh-client"):
        link.run("true")


def test_nothing_is_left_when_it_is_closed(server: Sshd) -> None:
    link = server.link()
    link.run("true")
    folder = Path(link._sockets.name)
    link.close()
    assert not folder.exists()
    deadline = time.monotonic() + 10
    while server.sessions():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_a_push_that_breaks_off_is_no_success(tmp_path: Path, fault: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20_000_000))
    with Sshd(tmp_path, fault) as server:
        link = server.link()
        link.run("true")
        begin = time.monotonic()
        with pytest.raises(DeviceLost):
            link.push(source, str(tmp_path / "there"), timeout_s=4)
        assert time.monotonic() - begin < 15
        assert link.run("echo back").text == "back"
        link.close()


def test_a_lost_exit_status_is_no_success(tmp_path: Path) -> None:
    with Sshd(tmp_path, "lose-exit") as server:
        link = server.link()
        with pytest.raises(DeviceLost):
            link.run("echo all is said")
        link.close()


def test_a_disk_that_fills_up_in_mid_push_is_told(link: SshLink, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(20_000_000))
    with pytest.raises(DeviceRefused, match="No space left"):
        link.push(source, "/dev/full", timeout_s=30)


def test_an_interruption_leaves_no_client_behind(link: SshLink) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(line: str) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        link.run("echo begun; sleep 61.25", on_line=interrupt)
    clients = HereLink().run("pgrep -af 'ssh .*sleep 61[.]25' | grep -v pgrep")
    assert clients.text == ""


def test_a_process_that_stays_does_not_garble_the_exit_status(link: SshLink) -> None:
    done = link.run("(sleep 1; echo late >&2) & echo early >&2; exit 42")
    assert done.status == 42
    assert done.stderr == b"early\nlate\n"
