"""The device that GROUNDSPEED_DEVICE names: an address, or a name of groundspeed.toml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundspeed.deploy.devices.using import using
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.catalog import named, open_link
from groundspeed.deploy.targets.link import Link
from groundspeed.deploy.targets.target import Target


@pytest.fixture(scope="session")
def device() -> str:
    name = os.environ.get("GROUNDSPEED_DEVICE", "")
    if not name:
        pytest.skip("no device of yours: GROUNDSPEED_DEVICE names none")
    return name


@pytest.fixture
def link(device: str) -> Iterator[Link]:
    opened = open_link(named(device))
    yield opened
    opened.close()


@pytest.fixture
def target(device: str, tmp_path: Path) -> Iterator[Target]:
    with Store(tmp_path / "results") as store, using(device, store) as opened:
        yield opened
