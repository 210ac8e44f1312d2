"""An adb server of the tests' own, with a key of its own; the user's is left alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.host.stand_ins.phone import Phone
from groundspeed.deploy.targets.adb import AdbLink
from groundspeed.deploy.targets.adb_server import AdbServer
from groundspeed.deploy.targets.address import Address


@contextlib.contextmanager
def own_adb_server(folder: Path) -> Iterator[AdbServer]:
    """Set the environment for a server that nobody else uses; it starts when it is asked."""
    assert shutil.which("adb"), "apt-get install adb ('./do test' does)"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))  # where adb keeps its key
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        patch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5554")  # look for no emulators
        server = AdbServer()
        assert server.port == port
        try:
            yield server
        finally:
            stop(server)


def stop(server: AdbServer) -> None:
    """End a server, whether it runs or not."""
    command = ["adb", "-P", str(server.port), "kill-server"]
    subprocess.run(command, capture_output=True, timeout=30, env=dict(os.environ))


def link_to(phone: Phone, server: AdbServer, folder: Path) -> AdbLink:
    """Return the link to a stand-in, whose folder is one of this machine."""
    address = Address(scheme="adb", host=phone.serial)
    return AdbLink(address, server=server, folder=str(folder / "phone's folder"))
