"""Phones over adb: its server for shells, its program for files."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groundspeed.deploy.targets.adb_server import INSTALL, AdbServer
from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.client import Ended, Overdue, talk
from groundspeed.deploy.targets.link import Finished, OnLine, make_folder, shell_command
from groundspeed.errors import DeviceLost, DeviceRefused

FOLDER = "/data/local/tmp/groundspeed"
CONNECT_S = 20.0
_REFUSED = re.compile(
    "No space left|Permission denied|Read-only|does not exist|No such file|Is a directory"
)


@dataclass(frozen=True, kw_only=True)
class Attached:
    """A device that the adb server knows.

    Attributes:
        serial: its serial, or host:port.
        state: "device" when it can be used, else "unauthorized", "offline", ...
        model: what it calls itself, "" where it does not say.
    """

    serial: str
    state: str
    model: str


class AdbLink:
    """A phone over adb.

    Args:
        address: its serial as host; host:port is a phone over the network.
        server: the adb server.
        folder: Groundspeed's folder on the phone; "" takes the one where programs can be started.
    """

    def __init__(
        self, address: Address, *, server: AdbServer | None = None, folder: str = ""
    ) -> None:
        self.name = str(address)
        self._serial = address.host
        self._server = server or AdbServer()
        self._wanted_folder = folder or FOLDER
        self._folder = ""

    @property
    def folder(self) -> str:
        """See ``Link.folder``."""
        if not self._folder:
            self._folder = make_folder(self, self._wanted_folder)
        return self._folder

    def run(
        self,
        script: str,
        arguments: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        on_line: OnLine | None = None,
    ) -> Finished:
        """Run a script; see ``Link.run``."""
        self._connect()
        command = shell_command(script, arguments)
        try:
            return self._server.shell(
                self._serial, command, stdin=stdin, timeout_s=timeout_s, on_line=on_line
            )
        except DeviceRefused as refused:
            raise DeviceRefused(f"{self.name}: {refused}") from None
        except DeviceLost as lost:
            self._disconnect()
            raise DeviceLost(f"{self.name}: {lost}") from None

    def push(self, source: Path, destination: str, *, timeout_s: float) -> str:
        """Copy a file there; see ``Link.push``."""
        self._copy(["push", str(source.absolute()), destination], timeout_s)
        return ""

    def pull(self, source: str, destination: Path, *, timeout_s: float) -> None:
        """Copy a file from there; see ``Link.pull``."""
        with tempfile.TemporaryDirectory(dir=destination.parent) as scratch:
            part = Path(scratch, "part")
            self._copy(["pull", source, str(part)], timeout_s)
            part.replace(destination)

    def close(self) -> None:
        """Nothing is held: the adb server is the user's, and serves others too."""

    def _copy(self, words: list[str], timeout_s: float) -> None:
        self._connect()
        ended = self._adb(["-s", self._serial, *words], timeout_s)
        if ended.code == 0:
            return
        lines = (ended.stderr + ended.stdout).decode(errors="replace").strip().splitlines()
        if refused := next(filter(_REFUSED.search, lines), ""):
            raise DeviceRefused(f"{self.name}: {refused}; free some space, or check the path")
        last = lines[-1].strip() if lines else "it said nothing"
        self._disconnect()
        raise DeviceLost(f"{self.name}: {words[0]} broke off ({last}); check the cable")

    def _adb(self, words: Sequence[str], timeout_s: float) -> Ended:
        command = ["adb", "-P", str(self._server.port), *words]
        try:
            return talk(command, timeout_s=timeout_s, install=INSTALL)
        except Overdue:
            if words[0] != "disconnect":
                self._disconnect()
            raise DeviceLost(
                f"{self.name}: 'adb {words[0]}' did not end within {timeout_s:.0f} s; the phone "
                "hangs, or the cable is loose"
            ) from None

    def _connect(self) -> None:
        """Connect to a phone over the network, anew when the server has lost it."""
        # Asked for every phone: it starts the server, which must not be a child of a client.
        state = {one.serial: one.state for one in attached(self._server)}.get(self._serial)
        if ":" not in self._serial:
            return
        if state == "device":
            return
        if state is not None and state != "unauthorized":
            self._disconnect()  # else "connect" says that it is connected already
        said = self._adb(["connect", self._serial], CONNECT_S).stdout.decode(errors="replace")
        state = {one.serial: one.state for one in attached(self._server)}.get(self._serial)
        if state == "unauthorized":
            raise DeviceRefused(
                f"{self.name} does not trust this machine yet; unlock it and accept the key that "
                "it shows"
            )
        if state != "device":
            raise DeviceLost(f"{self.name} cannot be reached ({said.strip() or 'no answer'})")

    def _disconnect(self) -> None:
        """Let the server forget a connection over the network that may be dead."""
        if ":" in self._serial:
            with contextlib.suppress(DeviceLost):
                self._adb(["disconnect", self._serial], CONNECT_S)


def attached(server: AdbServer | None = None) -> list[Attached]:
    """Return the devices that the adb server knows.

    Raises:
        MissingExtra: adb is not installed.
        DeviceLost: its server does not answer.
    """
    lines = (server or AdbServer()).ask("host:devices-l").splitlines()
    return [parse_attached(line) for line in lines if line.strip()]


def parse_attached(line: str) -> Attached:
    """Return what a line of ``adb devices -l`` says."""
    serial, _, rest = line.strip().partition(" ")
    model = re.search(r"\bmodel:(\S+)", rest)
    state = re.split(r"\s+(?=\S+:)|\(|;", rest.strip(), maxsplit=1)[0].strip()
    return Attached(serial=serial, state=state, model=model[1].replace("_", " ") if model else "")
