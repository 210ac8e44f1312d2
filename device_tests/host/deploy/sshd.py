"""Debian's own OpenSSH server on a port of this machine, with keys of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from device_tests.host.stand_ins import faulty_sshd
from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.ssh import SshLink

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/id.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
SetEnv XDG_CACHE_HOME={folder}/device HOME={folder}/device
"""
_CLIENT = """\
Host board
    HostName 127.0.0.1
    Port {port}
    IdentityFile {folder}/id
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
"""


class Sshd:
    """A server; a context manager.

    Args:
        folder: where it keeps its keys and configuration.
        fault: how it fails; then it is the stand-in of ``faulty_sshd.py``.
    """

    def __init__(self, folder: Path, fault: str = "") -> None:
        self._fault = fault
        self.folder = folder / "ssh"
        self.folder.mkdir()
        (self.folder / "device").mkdir()
        for name in ("id", "host_key"):
            self.make_key(name)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        self.trust("host_key")
        for name, text in (("server", _SERVER), ("config", _CLIENT)):
            (self.folder / name).write_text(text.format(port=self.port, folder=self.folder))

    def make_key(self, name: str) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name]
        subprocess.run(command, check=True)

    def trust(self, name: str) -> None:
        """Let the client know the server by a key."""
        kind, key = (self.folder / f"{name}.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def link(self) -> SshLink:
        return SshLink(
            Address(scheme="ssh", host="board"), options=["-F", str(self.folder / "config")]
        )

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return self
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def _command(self) -> list[str | Path]:
        if self._fault:
            keys = [self.folder / "host_key", self.folder / "id.pub"]
            return [sys.executable, faulty_sshd.__file__, str(self.port), *keys, self._fault]
        Path("/run/sshd").mkdir(exist_ok=True)
        binary = shutil.which("sshd") or "/usr/sbin/sshd"
        return [binary, "-D", "-E", self.folder / "log", "-f", self.folder / "server"]

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the server and all its sessions."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        self.process.send_signal(sign)
        if sign is signal.SIGKILL:
            self.process.wait()

    def sessions(self) -> list[int]:
        """Return the processes that serve connections."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True
        ).stdout.split()
        more = [
            pid
            for one in found
            for pid in subprocess.run(
                ["pgrep", "-P", one], capture_output=True, text=True
            ).stdout.split()
        ]
        return [int(pid) for pid in (*found, *more)]
