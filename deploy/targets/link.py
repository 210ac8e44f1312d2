"""What every way of reaching a device implements: a shell, and files to and fro.

Everything has a deadline, and three ends are told apart: the command's own exit status (a
``Finished``), a device that is lost or does not answer (``DeviceLost``), and one that refuses
(``DeviceRefused``). A client that is gone does not end what it started there; whoever starts
something long keeps its process group in a file on the device (``jobs.py``).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from groundspeed.errors import DeviceRefused

OnLine = Callable[[str], None]

_MAKE_FOLDER = """
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/groundspeed}
mkdir -p "$folder" && cd "$folder" || exit 73
printf '#!/bin/sh\\nexit 0\\n' >may-run.$$ && chmod 755 may-run.$$ || exit 73
./may-run.$$
ran=$?
rm -f may-run.$$
[ "$ran" = 0 ] || exit 126
pwd
"""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that ran to its end on the device.

    Attributes:
        status: exit status, 128 + n after signal n.
        stdout, stderr: what it wrote; a device without separate streams has all in ``stdout``.
    """

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text, without the white space at its ends."""
        return self.stdout.decode(errors="replace").strip()

    @property
    def complaint(self) -> str:
        """The last line that it wrote for people."""
        lines = (self.stderr or self.stdout).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


class Link(Protocol):
    """A connection to one device, opened when first used."""

    @property
    def name(self) -> str:
        """The device's address ("ssh://pi@board")."""
        ...

    @property
    def folder(self) -> str:
        """Absolute path of Groundspeed's own folder on the device; the link makes it."""
        ...

    def run(
        self,
        script: str,
        arguments: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        on_line: OnLine | None = None,
    ) -> Finished:
        """Run a POSIX shell script on the device and wait for its end.

        Args:
            script: a constant text; what varies comes in as "$1", "$2", ..., so that no name or
                path is ever read by a shell as anything else.
            arguments: values of "$1", "$2", ...
            stdin: what the script reads.
            timeout_s: longest time to wait for the end, connecting included.
            on_line: called with each whole line of standard output as it comes.

        Raises:
            DeviceLost: the link broke or the deadline passed; the script may still go on there.
            DeviceRefused: the device lets nobody in; the message says what to do.
        """
        ...

    def push(self, source: Path, destination: str, *, timeout_s: float) -> str:
        """Copy a file to a path on the device; a failure may leave a part of it there.

        Returns:
            The sha256 of what came in, if the device took it on the way, else "".

        Args:
            source: file on this machine.
            destination: absolute path there; its folder exists.
            timeout_s: longest time without an end.

        Raises:
            DeviceLost, DeviceRefused: as in :meth:`run`; DeviceRefused too when its disk is full.
        """
        ...

    def pull(self, source: str, destination: Path, *, timeout_s: float) -> None:
        """Copy a file from the device; ``destination`` exists only when it is whole.

        Raises:
            DeviceLost, DeviceRefused: as in :meth:`push`.
        """
        ...

    def close(self) -> None:
        """Give back what the link holds; what was started on the device goes on."""
        ...


# Prints the sha256 of its input as the first word; openssl uses what processors have for it. One
# that has neither swallows its input and says nothing.
DIGEST = """
digest() {
    if command -v openssl >/dev/null; then openssl dgst -sha256 -r
    elif command -v sha256sum >/dev/null; then sha256sum
    else cat >/dev/null
    fi
}
"""


def shell_command(script: str, arguments: Sequence[str] = ()) -> str:
    """Return one command line that runs a script with arguments in the device's POSIX shell."""
    return shlex.join(["sh", "-c", script, "sh", *arguments])


def make_folder(link: Link, path: str = "") -> str:
    """Make Groundspeed's own folder on a device and return its absolute path.

    Args:
        link: the way there.
        path: where; by default where the user's programs keep what can be made again.

    Raises:
        DeviceRefused: it cannot be written, or nothing can be started from it.
    """
    done = link.run(_MAKE_FOLDER, [path])
    if done.status == 126:
        raise DeviceRefused(
            f"programs cannot be started from {path or 'the cache folder'} on {link.name} "
            f"({done.complaint}; mounted noexec?); let XDG_CACHE_HOME there name a folder where "
            "they can"
        )
    if done.status != 0:
        raise DeviceRefused(
            f"{path or 'the cache folder'} on {link.name} cannot be written ({done.complaint}); "
            "free some space, or let XDG_CACHE_HOME there name a folder of yours"
        )
    return done.text
