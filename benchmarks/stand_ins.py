"""Devices for those who have none: started for a benchmark, and gone afterwards.

- ``board``: Debian's sshd on arm64, emulated.
- ``phone``: Android's adbd on arm64, emulated.
- ``host``: sshd on this machine, whose processor is real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from device_tests.emulation import board, phone, rootfs
from device_tests.host.deploy.sshd import Sshd


@contextmanager
def standing_in(kind: str) -> Iterator[str]:
    """Start a device and yield the name by which it is known meanwhile.

    Its agent is the native one: the emulated ones have no engines for Python's.

    Args:
        kind: one of ``KINDS``.
    """
    before, environment = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        try:
            for address in KINDS[kind](folder):
                text = f'[devices.{kind}]\naddress = "{address}"\nagent = "native"\n'
                Path("groundspeed.toml").write_text(text)
                yield kind
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(environment)


def _board(folder: Path) -> Iterator[str]:
    _emulate()
    with board.running(rootfs.board(folder), folder / "keys") as device:
        _use_config(device.config, folder)
        yield "ssh://board"


def _phone(folder: Path) -> Iterator[str]:
    _emulate()
    os.environ["ANDROID_ADB_SERVER_PORT"] = str(board.free_port())
    with phone.running(rootfs.phone(folder)) as device:
        try:
            yield f"adb://{device.serial}"
        finally:
            subprocess.run(["adb", "kill-server"], capture_output=True)


def _host(folder: Path) -> Iterator[str]:
    with Sshd(folder) as server:
        _use_config(server.folder / "config", folder)
        yield "ssh://board"


def _emulate() -> None:
    if reason := rootfs.missing():
        sys.exit(f"devices cannot be emulated here: {reason}")
    rootfs.register_qemu()


def _use_config(config: Path, folder: Path) -> None:
    """Let ssh and scp read a configuration, as they would read the user's."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("ssh", "scp"):
        (programs / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {config} "$@"\n')
        (programs / name).chmod(0o755)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"


KINDS: dict[str, Callable[[Path], Iterator[str]]] = {
    "board": _board,
    "phone": _phone,
    "host": _host,
}
