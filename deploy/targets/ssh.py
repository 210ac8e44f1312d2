"""Boards over ssh, by OpenSSH's own client: the user's configuration, keys and jump hosts hold.

One connection (a ControlMaster) serves every command; it ends some time after the last one. Exit
status 255 is ambiguous, for ssh says it too when the link breaks: so the device says each command's
exit status behind a mark that nothing else prints.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.client import Ended, Overdue, talk
from groundspeed.deploy.targets.link import DIGEST, Finished, OnLine, make_folder, shell_command
from groundspeed.errors import DeviceLost, DeviceRefused, GroundspeedError

INSTALL = "apt-get install openssh-client"
CONNECT_S = 30.0
OPTIONS = (
    *("-o", "BatchMode=yes"),  # a question would wait for ever
    *("-o", "StrictHostKeyChecking=yes"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=5"),  # a frozen device is found out after 15 s
    *("-o", "ServerAliveCountMax=3"),
    *("-o", "LogLevel=ERROR"),
    *("-o", "RemoteCommand=none"),  # what the user's configuration may say for his own sessions
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "ControlMaster=no"),  # only the one that we start ourselves
)
_MARKED = """
script=$1 mark=$2
shift 2
sh -c "$script" sh "$@"
printf '%s%s\\n' "$mark" "$?" >&2
"""
# The digest is taken while the file comes in, by another of the device's cores. A pipeline hides it
# when its first command fails (a full disk), so that is said apart.
_RECEIVE = f"""
{DIGEST}
exec 3>&1
failed=$({{ {{ tee "$1" || echo yes >&4; }} | digest >&3; }} 4>&1)
[ -z "$failed" ]
"""


class SshLink:
    """A board over ssh.

    Args:
        address: where it is; its host may be an alias of the user's configuration.
        folder: Groundspeed's folder on the board; "" takes one in the user's cache.
        options: further words for the command line of ``ssh``.
    """

    def __init__(self, address: Address, *, folder: str = "", options: Sequence[str] = ()) -> None:
        self.name = str(address)
        host = address.host.strip("[]")
        self._destination = f"{address.user}@{host}" if address.user else host
        port = ["-p", str(address.port)] if address.port is not None else []
        # The path of a socket may have some 100 bytes, so it is not kept in the user's folders.
        self._sockets = tempfile.TemporaryDirectory(prefix="gs-")
        self._socket = Path(self._sockets.name, "s")
        self._options = [*OPTIONS, *port, *options, "-o", f"ControlPath={self._socket}"]
        self._connecting = threading.Lock()
        self._wanted_folder = folder
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
        return self._run(script, arguments, stdin=stdin, timeout_s=timeout_s, on_line=on_line)

    def push(self, source: Path, destination: str, *, timeout_s: float) -> str:
        """Copy a file there; see ``Link.push``."""
        with source.open("rb") as file:
            done = self._run(_RECEIVE, [destination], stdin=file, timeout_s=timeout_s)
        self._check_copied(done, destination)
        return done.text.partition(" ")[0]

    def pull(self, source: str, destination: Path, *, timeout_s: float) -> None:
        """Copy a file from there; see ``Link.pull``."""
        with tempfile.NamedTemporaryFile(dir=destination.parent, delete=False) as part:
            path = Path(part.name)
            try:
                done = self._run('cat "$1"', [source], stdout=part, timeout_s=timeout_s)
                self._check_copied(done, source)
                path.replace(destination)
            finally:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the connection; what was started on the board goes on."""
        with contextlib.suppress(Overdue, GroundspeedError):
            talk(["ssh", *self._options, "-O", "exit", self._destination], timeout_s=5)
        self._sockets.cleanup()

    def _run(
        self,
        script: str,
        arguments: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes | IO[bytes] = b"",
        stdout: IO[bytes] | None = None,
        on_line: OnLine | None = None,
    ) -> Finished:
        end = time.monotonic() + timeout_s
        with self._connecting:
            self._connect(timeout_s)
        mark = f"--{secrets.token_hex(8)}--"
        command = shell_command(_MARKED, [script, mark, *arguments])
        try:
            ended = talk(
                ["ssh", *self._options, "-T", "--", self._destination, command],
                timeout_s=end - time.monotonic(),
                stdin=stdin,
                stdout=stdout,
                on_line=on_line,
                install=INSTALL,
            )
        except Overdue:
            self._disconnect()
            raise DeviceLost(
                f"{self.name} did not answer within {timeout_s:.0f} s; it hangs, or the network "
                "is very slow"
            ) from None
        told = re.search(rb"%b(\d+)\n" % mark.encode(), ended.stderr)
        # Without ssh's own word that all is well, some of what was said may be missing.
        if told is None or ended.code != 0:
            self._disconnect()
            raise _failure(self.name, self._destination, ended)
        said = ended.stderr[: told.start()] + ended.stderr[told.end() :]
        return Finished(status=int(told[1]), stdout=ended.stdout, stderr=said)

    def _connect(self, timeout_s: float) -> None:
        """Start the master, unless it runs: by itself, for it keeps what it inherits open."""
        if self._socket.exists():
            return
        timeout_s = min(timeout_s, CONNECT_S)
        command = ["ssh", "-o", "ControlMaster=yes", "-o", "ControlPersist=60", *self._options]
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(
                    [*command, "-f", "-N", "-T", "--", self._destination],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    timeout=timeout_s,
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired:
                raise DeviceLost(
                    f"{self.name} did not answer within {timeout_s:.0f} s; is it switched on, "
                    "and in this network?"
                ) from None
            except FileNotFoundError:
                talk(["ssh", "-V"], timeout_s=5, install=INSTALL)  # says how to install it
                raise
            said.seek(0)
            if done.returncode != 0:
                ended = Ended(code=done.returncode, stdout=b"", stderr=said.read())
                raise _failure(self.name, self._destination, ended)

    def _disconnect(self) -> None:
        """Forget a connection that may be dead."""
        with contextlib.suppress(Overdue, GroundspeedError):
            talk(["ssh", *self._options, "-O", "exit", self._destination], timeout_s=5)
        self._socket.unlink(missing_ok=True)

    def _check_copied(self, done: Finished, path: str) -> None:
        if done.status != 0:
            raise DeviceRefused(
                f"{path} on {self.name} could not be copied ({done.complaint}); "
                "is its disk full, or not writable?"
            )


def _failure(name: str, destination: str, ended: Ended) -> GroundspeedError:
    """Return what an ``ssh`` that gave no exit status of a command complained of."""
    said = ended.stderr.decode(errors="replace")
    last = (said.strip().splitlines() or ["it said nothing"])[-1].strip()
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return DeviceRefused(
            f"{name} is not the machine that it was: its host key changed. If it was set up anew, "
            f"forget the old key with 'ssh-keygen -R' and its name, connect once by 'ssh "
            f"{destination}', and compare the fingerprint; if not, somebody may be in between"
        )
    if "Host key verification failed" in said or "host key is known" in said:
        return DeviceRefused(
            f"the host key of {name} is not known here; connect once by 'ssh {destination}', and "
            "compare the fingerprint that it shows with the device's own"
        )
    if "Permission denied" in said or "Too many authentication failures" in said:
        return DeviceRefused(
            f"{name} lets us in with no key; set one up by 'ssh-copy-id {destination}' ({last})"
        )
    if "Could not resolve" in said or "Bad configuration" in said or "bad configuration" in said:
        return DeviceRefused(f"{name} cannot be found: {last}")
    if re.search(r"Connection refused|No route to host|timed out|Network is unreachable", said):
        return DeviceLost(f"{name} cannot be reached ({last}); is it on, with its ssh server?")
    return DeviceLost(f"the connection to {name} broke ({last})")
