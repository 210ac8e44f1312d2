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
import time
from collections.abc import Callable, Iterator

from groundspeed.deploy.targets.link import Finished
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
        on_line: Callable[[str], None] | None = None,
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
            heard = _Lines(on_line)
            if "shell_v2" in features:
                channel.send(f"shell,v2,raw:{command}")
                return channel.shell_v2(stdin, heard)
            return _legacy(channel, command, stdin, heard)

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
            )
        except FileNotFoundError:
            raise MissingExtra(f"the program 'adb' is not installed: {INSTALL}") from None
        except subprocess.TimeoutExpired:
            raise DeviceLost("the adb server does not start; try 'adb kill-server'") from None
        if done.returncode != 0:
            raise DeviceLost(f"the adb server does not start: {done.stderr.strip()}")


class _Lines:
    """Collects bytes, and hands on each line as it becomes whole."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.bytes = bytearray()
        self._told = 0
        self._on_line = on_line

    def __iadd__(self, data: bytes) -> _Lines:
        self.bytes += data
        whole = self.bytes.rfind(b"\n") + 1
        if self._on_line is not None and whole > self._told:
            for line in self.bytes[self._told : whole].decode(errors="replace").splitlines():
                self._on_line(line)
            self._told = whole
        return self


class _Channel:
    """One connection to the server, with a deadline for all that is said on it."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        self._connection = connection
        self._end = end

    def send(self, service: str) -> None:
        """Ask for a service, and hear that it is granted."""
        said = service.encode()
        self._write(b"%04x" % len(said) + said)
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

    def shell_v2(self, stdin: bytes, heard: _Lines) -> Finished:
        """Feed a shell and hear it to its end."""
        stderr = bytearray()
        # What it says is heard between pieces of what it is fed: either side may fill up.
        left = memoryview(stdin)
        while left:
            self._write(struct.pack("<BI", _STDIN, len(left[:_CHUNK])) + left[:_CHUNK])
            left = left[_CHUNK:]
        self._write(struct.pack("<BI", _CLOSE_STDIN, 0))
        while True:
            kind, count = struct.unpack("<BI", self.read(5))
            data = self.read(count) if count else b""
            if kind == _EXIT:
                return Finished(status=data[0], stdout=bytes(heard.bytes), stderr=bytes(stderr))
            if kind == _STDOUT:
                heard += data
            elif kind == _STDERR:
                stderr += data

    def write(self, data: bytes) -> None:
        """Write to a shell that has no protocol."""
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._connection.settimeout(self._left())
        try:
            self._connection.sendall(data)
        except TimeoutError:
            raise DeviceLost("the phone takes nothing any more; it hangs") from None
        except OSError as error:
            raise DeviceLost(f"the adb server went away ({error.strerror})") from error

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeviceLost("the phone did not answer in time; it hangs, or the cable is loose")
        return left


def _legacy(channel: _Channel, command: str, stdin: bytes, heard: _Lines) -> Finished:
    """Run on a device before Android 7, which says no exit status: its shell says it, marked.

    Such a shell reads what it is fed from a terminal, so what is fed must not be bytes of any kind.
    """
    if stdin:
        raise DeviceRefused("phones before Android 7 cannot be fed by adb; use a newer one")
    mark = f"--{secrets.token_hex(8)}--"
    channel.send(f"shell:({command}\n); echo {mark}$?")
    said = bytearray()
    while True:
        try:
            data = channel.some(_CHUNK)
        except DeviceLost:
            body, found, status = bytes(said).rpartition(mark.encode())
            if not found or not status.strip().isdigit():
                raise
            return Finished(status=int(status), stdout=body, stderr=b"")
        said += data
        if mark.encode() not in said:
            heard += data


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
