"""The emulated board as the device "board" of a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_tests.emulation.board import Board
from device_tests.emulation.clients import use_ssh_config


@pytest.fixture
def project(emulated_board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose groundspeed.toml names the board, which the user's ssh knows."""
    use_ssh_config(emulated_board.config, tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "groundspeed.toml").write_text('[devices]\nboard = "ssh://board"\n')
    monkeypatch.chdir(folder)
    return folder
