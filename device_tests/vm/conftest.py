"""The virtual board as the device "board" of a project; it is started once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.emulation import virtual_machine
from device_tests.emulation.clients import use_ssh_config
from device_tests.emulation.virtual_machine import VirtualMachine


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMachine]:
    reason = virtual_machine.missing()
    if reason:
        if os.environ.get("GROUNDSPEED_REQUIRE_ARM64"):
            pytest.fail(f"a virtual machine is asked for: {reason}")
        pytest.skip(f"no virtual machine: {reason}")
    with virtual_machine.running(tmp_path_factory.mktemp("machine")) as running:
        yield running


@pytest.fixture
def project(machine: VirtualMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose groundspeed.toml names the board."""
    use_ssh_config(machine.config, tmp_path, monkeypatch)
    folder = tmp_path / "project"
    folder.mkdir()
    toml = '[devices]\nboard = { address = "ssh://board", agent = "native" }\n'
    (folder / "groundspeed.toml").write_text(toml)
    monkeypatch.chdir(folder)
    return folder
