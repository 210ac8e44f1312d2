"""The emulated phone, with an adb server of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from device_tests.emulation.board import free_port
from device_tests.emulation.phone import Phone
from groundspeed.deploy.targets.adb import AdbLink
from groundspeed.deploy.targets.adb_server import AdbServer
from groundspeed.deploy.targets.address import Address


@pytest.fixture(scope="session")
def adb_server() -> Iterator[AdbServer]:
    server = AdbServer(free_port())
    yield server
    subprocess.run(["adb", "-P", str(server.port), "kill-server"], capture_output=True)


@pytest.fixture
def link(emulated_phone: Phone, adb_server: AdbServer) -> AdbLink:
    """Return a link to the phone as it is now: after each start it has another port."""
    return AdbLink(Address(scheme="adb", host=emulated_phone.serial), server=adb_server)
