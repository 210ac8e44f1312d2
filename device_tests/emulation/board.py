"""A board over ssh: Debian's arm64 OpenSSH server, emulated, on a port of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_tests.emulation.fake_cpuinfo import CPU, cpuinfo

# In a mount namespace of its own, so that nothing needs to be unmounted afterwards.
_ENTER = """
set -e
mount --rbind /sys "$1/sys"
mount -t proc proc "$1/proc"
mount --bind "$1/etc/fake_cpuinfo" "$1/proc/cpuinfo"
mount --rbind /dev "$1/dev"
root=$1
shift
exec chroot "$root" "$@"
"""
SERVER = """\
HostKey /etc/ssh/host_key
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
Subsystem sftp /usr/lib/openssh/sftp-server
"""
_EMULATED = """\
Port {port}
ListenAddress 127.0.0.1
SetEnv QEMU_CPU={cpu}
"""
_CLIENT = """\
Host board
    HostName 127.0.0.1
    Port {port}
    User root
    IdentityFile {folder}/id
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
"""
START_S = 60


@dataclass
class Board:
    """A running board.

    Attributes:
        root: its root folder, on this machine.
        config: client configuration in which it is the host "board".
        port: of 127.0.0.1.
        server: the process of its sshd.
    """

    root: Path
    config: Path
    port: int
    server: subprocess.Popen[bytes]

    def cut_connections(self) -> None:
        """End every connection, as a cable that is pulled; what runs on the board goes on."""
        for pid in self.processes("/usr/sbin/sshd"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                if not _is_first(pid):  # that one listens
                    os.kill(pid, signal.SIGKILL)

    def processes(self, words: str) -> list[int]:
        """Return the processes on the board whose command line has some words."""
        inside = Path(f"/proc/{self.server.pid}/ns/pid_for_children").readlink()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns/pid").readlink() == inside and words in (
                    process / "cmdline"
                ).read_text().replace("\0", " "):
                    found.append(int(process.name))
            except (OSError, UnicodeDecodeError):
                continue  # it ended meanwhile
        return found


@contextmanager
def running(root: Path, folder: Path) -> Iterator[Board]:
    """Start the board's sshd and wait until somebody can log in.

    Args:
        root: from ``rootfs.board``.
        folder: where keys and the client's configuration go.
    """
    port = free_port()
    make_keys(folder, port)
    (root / "etc/ssh").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "host_key", root / "etc/ssh/host_key")
    (root / "etc/ssh/host_key").chmod(0o600)
    (root / "etc/ssh/sshd_test").write_text(SERVER + _EMULATED.format(port=port, cpu=CPU))
    (root / "root/.ssh").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "id.pub", root / "root/.ssh/authorized_keys")
    (root / "etc/fake_cpuinfo").write_text(cpuinfo(os.cpu_count() or 1))
    command = ["/usr/sbin/sshd", "-D", "-f", "/etc/ssh/sshd_test", "-E", "/tmp/sshd.log"]
    server = subprocess.Popen(
        ["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-c", _ENTER, "sh", root, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_ssh(port, server, root / "tmp/sshd.log", time.monotonic() + START_S)
        yield Board(root=root, config=folder / "config", port=port, server=server)
    finally:
        server.kill()  # and with it, by --kill-child, everything in its pid namespace
        server.wait()


def _is_first(pid: int) -> bool:
    """Return whether a process is the first of its pid namespace."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("NSpid:"))
    return line.split()[-1] == "1"


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def make_keys(folder: Path, port: int) -> None:
    """Make keys for a user and a server, and the client's configuration of the host "board"."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("id", "host_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True)
    public = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n")
    (folder / "config").write_text(_CLIENT.format(port=port, folder=folder))


def wait_for_ssh(port: int, server: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
    """Wait until a server greets, or fail with what it wrote."""
    while True:
        said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        assert server.poll() is None, f"the server ended: {said}"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.settimeout(5)
                if connection.recv(3) == b"SSH":
                    return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"nobody listened: {said}"
        time.sleep(0.1)
