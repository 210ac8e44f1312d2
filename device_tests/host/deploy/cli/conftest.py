"""A board for whole commands: this machine behind a real sshd, which the user's own ssh reaches."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.host.deploy.sshd import Sshd


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the line of groundspeed.toml that names it "board"."""
    with Sshd(tmp_path) as server:
        programs = tmp_path / "bin"
        programs.mkdir()
        ssh = programs / "ssh"
        config = server.folder / "config"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        yield f'board = {{ address = "ssh://board", python = "{sys.executable}" }}\n'
