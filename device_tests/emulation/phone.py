"""A phone over adb: Android's own adbd, arm64, emulated, in a network of its own.

adbd listens at every address, so it stands behind a pair of virtual interfaces that leads nowhere
but to this machine.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from device_tests.emulation import fake_phone
from device_tests.emulation.fake_cpuinfo import CPU, cpuinfo

SHELL_USER = 2000  # Android's "shell", which may do little
START_S = 60
_ENTER = """
set -e
mount --bind "$1/fake/sys" "$1/sys"
mount -t proc proc "$1/proc"
mount --bind "$1/etc/fake_cpuinfo" "$1/proc/cpuinfo"
mount --rbind /dev "$1/dev"
exec chroot --userspec=2000:2000 "$1" /usr/bin/env -i \
    PATH=/system/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/data/local/tmp \
    ADBD_PORT="$2" QEMU_CPU="$3" /usr/sbin/adbd --device_banner=device
"""
_numbers = itertools.count(os.getpid() % 50 * 5)


@dataclass
class Phone:
    """A phone, running or not.

    Attributes:
        root: its root folder, on this machine.
        host: its address in its own network.
        name: of that network.
        port: where adbd listens, another after each start: the old one is held for a while.
    """

    root: Path
    host: str
    name: str
    port: int = 5600
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def serial(self) -> str:
        """Its serial for adb."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Switch it on and wait until adbd listens."""
        self.port += 1
        inside = ["unshare", "-m", "-p", "-f", "sh", "-c", _ENTER, "sh"]
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *inside, str(self.root), str(self.port), CPU],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_S
        while True:
            assert self._process.poll() is None, "adbd ended"
            try:
                with socket.create_connection((self.host, self.port), timeout=1):
                    return
            except OSError:
                assert time.monotonic() < deadline, "adbd never listened"
                time.sleep(0.1)

    def stop(self) -> None:
        """Switch it off: everything on it is gone at once, its files stay."""
        self.freeze()  # or adbd would live to tell how the others ended
        for pid in self._inside():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it stand still, connections open."""
        for pid in self._inside():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self._inside():
            os.kill(pid, signal.SIGCONT)

    def _inside(self) -> list[int]:
        found = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in found.stdout.split()]


@contextmanager
def running(root: Path) -> Iterator[Phone]:
    """Make the phone's files and its network, and switch it on.

    Args:
        root: from ``rootfs.phone``.
    """
    fake_phone.make(root)
    (root / "etc/fake_cpuinfo").write_text(cpuinfo(8))
    number = next(_numbers) % 250
    name, near, far = f"gs-phone{number}", f"gsn{number}", f"gsf{number}"
    host = f"10.231.{number}.2"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", near, "type", "veth", "peer", "name", far)
        _ip("link", "set", far, "netns", name)
        _ip("addr", "add", f"10.231.{number}.1/30", "dev", near)
        _ip("link", "set", near, "up")
        _ip("-n", name, "addr", "add", f"{host}/30", "dev", far)
        _ip("-n", name, "link", "set", far, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        phone = Phone(root=root, host=host, name=name)
        try:
            phone.start()
            yield phone
        finally:
            phone.stop()
    finally:
        _ip("netns", "del", name)  # the interfaces go with it


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
