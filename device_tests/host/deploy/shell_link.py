"""A link to a folder of this machine, by each of the shells and toolboxes that devices have."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from groundspeed.deploy.targets.link import Finished, OnLine
from groundspeed.errors import DeviceLost

# What an Android phone, a small router-like board, and a Debian board have.
TOOLBOXES = {
    "toybox": ("mksh", "toybox"),
    "busybox": ("busybox", "busybox"),
    "debian": ("dash", ""),
}


class ShellLink:
    """Runs scripts in one of the TOOLBOXES; can be cut, and can refuse connections for a while."""

    name = "shell://test"

    def __init__(self, folder: Path, toolbox: str = "debian") -> None:
        self.folder = str(folder / "device")
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        self.pushed: list[str] = []
        self.away_until = 0.0
        self.clients: list[subprocess.Popen[bytes]] = []
        shell, box = TOOLBOXES[toolbox]
        missing = [name for name in (shell, box) if name and shutil.which(name) is None]
        assert not missing, f"apt-get install {' '.join(missing)} ('./do test' does)"
        self._shell, self._path = str(shutil.which(shell)), os.environ["PATH"]
        if box:
            tools = folder / "tools"
            tools.mkdir()
            binary = str(shutil.which(box))
            listed = subprocess.run(
                [binary, "--list"] if box == "busybox" else [binary],
                capture_output=True,
                text=True,
                check=True,
            )
            for name in listed.stdout.split():
                (tools / name).symlink_to(binary)
            (tools / "sh").unlink(missing_ok=True)
            (tools / "sh").symlink_to(self._shell)
            (tools / "python3").symlink_to(str(shutil.which("python3")))
            self._path = str(tools)

    def run(
        self,
        script: str,
        arguments: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        on_line: OnLine | None = None,
    ) -> Finished:
        if time.monotonic() < self.away_until:
            raise DeviceLost(f"{self.name} is away")
        shell = [self._shell, "sh"] if self._shell.endswith("busybox") else [self._shell]
        client = subprocess.Popen(
            [*shell, "-c", script, "sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": self._path, "HOME": self.folder},
        )
        self.clients.append(client)
        timer = threading.Timer(timeout_s, client.kill)
        timer.start()
        ended: list[tuple[bytes, bytes]] = []
        reading = threading.Thread(target=lambda: ended.append(client.communicate(stdin)))
        reading.daemon = True  # after a cut, the job may hold the pipe for long
        reading.start()
        try:
            while reading.is_alive() and client.returncode != -signal.SIGKILL:
                reading.join(0.02)
                client.poll()
        finally:
            timer.cancel()
            self.clients.remove(client)
        if not ended or client.returncode < 0:
            raise DeviceLost(f"{self.name} went away")
        out, error = ended[0]
        for line in out.decode().splitlines():
            if on_line is not None:
                on_line(line)
        return Finished(status=client.returncode, stdout=out, stderr=error)

    def cut(self, away_s: float = 0.0) -> None:
        """Break what is connected now, and stay away for some time."""
        self.away_until = time.monotonic() + away_s
        for client in list(self.clients):
            client.kill()

    def push(self, source: Path, destination: str, *, timeout_s: float) -> str:
        self.pushed.append(source.name)
        shutil.copyfile(source, destination)
        return ""

    def pull(self, source: str, destination: Path, *, timeout_s: float) -> None:
        shutil.copyfile(source, destination)

    def close(self) -> None:
        pass
