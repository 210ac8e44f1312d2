"""The emulated board as the device "board" of a project."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from device_tests.emulation.board import Board


@pytest.fixture
def project(emulated_board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose groundspeed.toml names the board, which the user's ssh knows."""
    programs = tmp_path / "bin"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {emulated_board.config} "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "groundspeed.toml").write_text('[devices]\nboard = "ssh://board"\n')
    monkeypatch.chdir(folder)
    return folder
