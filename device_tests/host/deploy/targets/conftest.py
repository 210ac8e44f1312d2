"""Links to every kind of device, by real clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.host.deploy.sshd import Sshd
from device_tests.host.stand_ins.adb import link_to, own_adb_server
from device_tests.host.stand_ins.phone import Phone
from groundspeed.deploy.targets.adb_server import AdbServer
from groundspeed.deploy.targets.here import HereLink
from groundspeed.deploy.targets.link import Link


@pytest.fixture(scope="module")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """Return an adb server of the tests' own."""
    with own_adb_server(tmp_path_factory.mktemp("adb")) as server:
        yield server


@pytest.fixture(params=["here", "ssh", "adb"])
def any_link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Link]:
    """Return a link of each kind."""
    if request.param == "here":
        yield HereLink(tmp_path / "device")
    elif request.param == "ssh":
        with Sshd(tmp_path) as server:
            link = server.link()
            yield link
            link.close()
    else:
        with Phone() as phone:
            yield link_to(phone, request.getfixturevalue("adb_server"), tmp_path)
