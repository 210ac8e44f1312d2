"""The user's own ssh, with a configuration that knows a device of the tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def use_ssh_config(config: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let "ssh" read a configuration, as it would read the user's.

    Args:
        config: the configuration.
        folder: where a program of that name may be put.
        monkeypatch: undoes it.
    """
    programs = folder / "bin"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
