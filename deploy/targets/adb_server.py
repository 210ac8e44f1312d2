"""A client of the adb server's socket: shells whose end can be trusted.

The program ``adb`` cannot be: version 29 exits with 0 when the phone dies in mid-command, and later
ones with 255, which a command may return too. The server's own protocol tells these apart.
https://android.googlesource.com/platform/packages/modules/adb (services.md, shell_protocol.h)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator

from groundspeed.deploy.targets.lines import Lines
from groundspeed.deploy.targets.link import Finished, OnLine
from groundspeed.errors import DeviceLost, DeviceRefused, MissingExtra

INSTALL = "apt-get install adb, or Android's platform-tools"
START_S = 30.0
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_CHUNK = 1 << 15


class AdbServer:
    """The adb server of this machine, started when it is not there.

    Args:
        port: where it listens; by default as the program ``adb`` decides.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = port or int(os.environ.get("ANDROID_ADB_SERVER_PORT", "5037"))

    def ask(self, question: str, *, timeout_s: float = 10.0) -> str:
        """Return the server's answer to a host service ("host:devices-l").

        Raises:
            DeviceLost: it did not answer.
            DeviceRefused: it said that this cannot be.
        """
        with self._connected(time.monotonic() + timeout_s) as channel:
            channel.send(question)
            return channel.text()

    def shell(
        self,
        serial: str,
        command: str,
        *,
        stdin: bytes = b"",
        timeout_s: float,
        on_line: OnLine | None = None,
    ) -> Finished:
        """Run a command line on a device to its end.

        Raises:
            DeviceLost: the device or the server went away, or the deadline passed.
            DeviceRefused: the device lets nobody in.
        """
        end = time.monotonic() + timeout_s
        features = self.ask(f"host-serial:{serial}:features", timeout_s=timeout_s).split(",")
        with self._connected(end) as channel:
            channel.send(f"host:transport:{serial}")
            if "shell_v2" in features:
                channel.send(f"shell,v2,raw:{command}")
                return _shell_v2(channel, stdin, on_line)
            return _legacy(channel, command, stdin, on_line)

    @contextlib.contextmanager
    def _connected(self, end: float) -> Iterator[_Channel]:
        try:
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        except OSError:
            self._start()
            try:
                connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            except OSError as error:
                raise DeviceLost(
                    f"the adb server does not answer at port {self.port} ({error}); "
                    "try 'adb kill-server'"
                ) from error
        with connection:
            yield _Channel(connection, end)

    def _start(self) -> None:
        try:
            done = subprocess.run(
                ["adb", "-P", str(self.port), "start-server"],
                capture_output=True,
                text=True,
                timeout=START_S,
                start_new_session=True,  # it outlives us, and our Ctrl-C
            )
        except FileNotFoundError:
            raise MissingExtra(f"the program 'adb' is not installed: {INSTALL}") from None
        except subprocess.TimeoutExpired:
            raise DeviceLost("the adb server does not start; try 'adb kill-server'") from None
        if done.returncode != 0:
            raise DeviceLost(f"the adb server does not start: {done.stderr.strip()}")


class _Channel:
    """One connection to the server, with a deadline for all that is said on it."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        self._connection = connection
        self._end = end

    def send(self, service: str) -> None:
        """Ask for a service, and hear that it is granted."""
        said = service.encode()
        self.write(b"%04x" % len(said) + said)
        answer = self.read(4)
        if answer == b"FAIL":
            raise _refusal(self.text())
        if answer != b"OKAY":
            raise DeviceLost(f"the adb server answered {answer!r}, which is not its protocol")

    def text(self) -> str:
        """Read an answer that says its length."""
        return self.read(int(self.read(4), 16)).decode(errors="replace")

    def read(self, count: int) -> bytes:
        """Read exactly so many bytes."""
        data = bytearray()
        while len(data) < count:
            data += self.some(count - len(data))
        return bytes(data)

    def some(self, most: int) -> bytes:
        """Read what is there, at least a byte."""
        self._connection.settimeout(self._left())
        try:
            data = self._connection.recv(most)
        except TimeoutError:
            raise DeviceLost(
                "the phone did not answer in time; it hangs, or the cable is loose"
            ) from None
        except OSError as error:
            raise DeviceLost(f"the adb server went away ({error.strerror})") from error
        if not data:
            raise DeviceLost("the phone went away, or the adb server did")
        return data

    def write(self, data: bytes) -> None:
        """Write to a service."""
        self._connection.settimeout(self._left())
        try:
            self._connection.sendall(data)
        except TimeoutError:
            raise DeviceLost("the phone takes nothing any more; it hangs") from None
        except OSError as error:
            raise DeviceLost(f"the adb server went away ({error.strerror})") from error

    def shut(self) -> None:
        """Say and hear nothing more; whoever waits for either is woken."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeviceLost("the phone did not answer in time; it hangs, or the cable is loose")
        return left


def _shell_v2(channel: _Channel, stdin: bytes, on_line: OnLine | None) -> Finished:
    """Run in a shell that keeps its streams apart and says its exit status."""
    feeding = threading.Thread(target=_feed, args=(channel, stdin), daemon=True)
    feeding.start()  # beside the hearing: a command may say much before it has read all
    try:
        return _hear(channel, on_line)
    finally:
        channel.shut()
        feeding.join()  # once the connection is closed, its number may be another file's


def _hear(channel: _Channel, on_line: OnLine | None) -> Finished:
    stdout, stderr = Lines(on_line), Lines()
    while True:
        kind, count = struct.unpack("<BI", channel.read(5))
        data = channel.read(count) if count else b""
        if kind == _EXIT:
            return Finished(status=data[0], stdout=bytes(stdout.bytes), stderr=bytes(stderr.bytes))
        if kind == _STDOUT:
            stdout.add(data)
        elif kind == _STDERR:
            stderr.add(data)


def _feed(channel: _Channel, stdin: bytes) -> None:
    # A phone that is lost, or a command that ends before it has read all, is heard of elsewhere.
    with contextlib.suppress(DeviceLost):
        for start in range(0, len(stdin), _CHUNK):
            piece = stdin[start : start + _CHUNK]
            channel.write(struct.pack("<BI", _STDIN, len(piece)) + piece)
        channel.write(struct.pack("<BI", _CLOSE_STDIN, 0))


def _legacy(channel: _Channel, command: str, stdin: bytes, on_line: OnLine | None) -> Finished:
    """Run on a device before Android 7, which says no exit status: its shell says it, marked.

    Such a shell reads what it is fed from a terminal, so what is fed must not be bytes of any kind.
    """
    if stdin:
        raise DeviceRefused("phones before Android 7 cannot be fed by adb; use a newer one")
    mark = f"--{secrets.token_hex(8)}--"
    channel.send(f"shell:({command}\n); echo {mark}$?")

    def hear(line: str) -> None:
        if on_line is not None and mark not in line:
            on_line(line)

    said = Lines(hear)
    while True:
        try:
            said.add(channel.some(_CHUNK))
        except DeviceLost:
            body, found, status = bytes(said.bytes).rpartition(mark.encode())
            if not found or not status.strip().isdigit():
                raise
            return Finished(status=int(status), stdout=body, stderr=b"")


def _refusal(said: str) -> DeviceLost | DeviceRefused:
    if "unauthorized" in said:
        return DeviceRefused(
            "the phone does not trust this machine yet; unlock it and accept the key that it shows"
        )
    if "no permissions" in said:
        return DeviceRefused(
            "this user may not use the phone's USB port; apt-get install android-sdk-platform-tools"
            "-common, then plug it in anew"
        )
    if "not found" in said:
        return DeviceLost(f"there is no such phone ({said}); 'adb devices' lists those that are")
    return DeviceLost(f"the phone is not there ({said}); plug it in anew")
