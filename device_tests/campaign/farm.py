"""A few devices that can go wrong: boards behind real sshd, a phone behind the real adb.

Each keeps its files on a small disk of its own and writes a journal that Groundspeed knows nothing
of: its interpreter is a script that tells when two agents run at once, and keeps a copy of every
result that an agent has finished.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_tests.host.deploy.sshd import Sshd
from device_tests.host.stand_ins.phone import Phone

DISK_BYTES = 30_000_000

# A lock is given back by the kernel when its process dies, however that dies. Only agents get a
# result to write, as their last word.
_INTERPRETER = """\
#!/bin/sh
for result; do :; done
case $result in */jobs/*/result) ;; *) exec {python} "$@" ;; esac
exec 9>"{journal}/lock"
flock -n 9 || echo "two at once: $result" >>"{journal}/overlaps"
{python} "$@"
status=$?
[ -f "$result" ] || exit $status
now=$(date +%s.%N)
cp "${{result%/*}}/job.json" "{journal}/$now.job" && cp "$result" "{journal}/$now.result"
exit $status
"""


@dataclass(frozen=True)
class Result:
    """What an agent finished on a device, whether or not anybody ever fetched it.

    Attributes:
        at: when, in seconds since 1970.
        file: name of the file that it measured.
    """

    at: float
    file: str
    samples_ns: tuple[int, ...]


class _Disk:
    """The disk and the journal of a device."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.journal = folder / "journal"
        self.files = folder / "files"
        self.interpreter = folder / "python"
        self.journal.mkdir(parents=True)
        self.files.mkdir()
        size = ["-o", f"size={DISK_BYTES}"]
        subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", self.files], check=True)
        text = _INTERPRETER.format(python=sys.executable, journal=self.journal)
        self.interpreter.write_text(text)
        self.interpreter.chmod(0o755)

    def fill(self) -> None:
        """Leave no room on the disk."""
        with contextlib.suppress(OSError), (self.files / "filler").open("wb") as file:
            while True:
                file.write(bytes(100_000))

    def clear(self) -> None:
        """Make room again."""
        (self.files / "filler").unlink(missing_ok=True)

    def results(self) -> list[Result]:
        """Return every result that an agent has finished here."""
        found = []
        for path in sorted(self.journal.glob("*.result")):
            try:
                result = json.loads(path.read_text())
            except ValueError:
                continue  # cut off while it was copied
            if "samples_ns" in result.get("result", {}):
                files = json.loads(path.with_suffix(".job").read_text())["files"]
                samples = tuple(result["result"]["samples_ns"])
                found.append(Result(float(path.stem), Path(files["model"]).name, samples))
        return found

    def overlaps(self) -> list[str]:
        """Return the jobs that began while another one ran."""
        path = self.journal / "overlaps"
        return path.read_text().splitlines() if path.exists() else []

    def agents(self) -> list[int]:
        """Return the processes of agents, and of what watches them."""
        words = str(self.files)
        listed = subprocess.run(["pgrep", "-f", words], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()]

    def kill_agents(self) -> None:
        """Kill what runs on the device, without its leave."""
        for pid in self.agents():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def unmount(self) -> None:
        self.kill_agents()
        subprocess.run(["umount", "-l", self.files], check=True)


class Board(_Disk):
    """A board over ssh."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self.server = Sshd(folder)

    def cut(self) -> None:
        for pid in self.server.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        self._frozen = [self.server.process.pid, *self.server.sessions()]
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def reboot(self) -> None:
        self.server.stop()
        self.kill_agents()
        time.sleep(2)
        self.server.__enter__()

    def _signal(self, sign: signal.Signals) -> None:
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)


class StandInPhone(_Disk):
    """A phone over adb."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self.phone = Phone()

    def cut(self) -> None:
        self.phone.cut()

    def freeze(self) -> None:
        self.phone.freeze()

    def thaw(self) -> None:
        self.phone.thaw()

    def reboot(self) -> None:
        self.phone.cut()
        self.kill_agents()


@contextmanager
def farm(folder: Path, boards: int) -> Iterator[tuple[list[Board], StandInPhone]]:
    """Yield some boards and a phone, started, with a project in ``folder/project`` that names them.

    Needs root, for the disks.
    """
    with contextlib.ExitStack() as stack:
        made = [Board(f"board{index}", folder / f"board{index}") for index in range(boards)]
        for board in made:
            stack.callback(board.unmount)
            stack.enter_context(board.server)
        phone = StandInPhone("phone", folder / "phone")
        stack.callback(phone.unmount)
        stack.enter_context(phone.phone)
        project = folder / "project"
        project.mkdir()
        _write_ssh(made, folder / "bin")
        table = "".join(
            f'[devices.{device.name}]\naddress = "{address}"\nagent = "python"\n'
            f'python = "{device.interpreter}"\nfolder = "{device.files}/groundspeed"\n'
            for device, address in (
                *((board, f"ssh://{board.name}") for board in made),
                (phone, f"adb://{phone.phone.serial}"),
            )
        )
        (project / "groundspeed.toml").write_text(table)
        yield made, phone


def _write_ssh(boards: list[Board], programs: Path) -> None:
    """Write an "ssh" that knows all boards by name, as the user's own configuration would."""
    programs.mkdir()
    config = programs / "config"
    config.write_text(
        "\n".join(
            (board.server.folder / "config").read_text().replace("Host board", f"Host {board.name}")
            for board in boards
        )
    )
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
    ssh.chmod(0o755)
