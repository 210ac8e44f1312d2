"""A board for whole commands: this machine behind a real sshd, which the user's own ssh reaches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.emulation.clients import use_ssh_config
from device_tests.host.deploy.sshd import Sshd


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the line of groundspeed.toml that names it "board"."""
    with Sshd(tmp_path) as server:
        use_ssh_config(server.folder / "config", tmp_path, monkeypatch)
        yield f'board = {{ address = "ssh://board", python = "{sys.executable}" }}\n'
