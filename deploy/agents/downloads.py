"""Packages from PyPI for another machine, fetched by this machine's pip, with its own settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from groundspeed.deploy.agents.toolchain import run
from groundspeed.errors import BuildFailed

DOWNLOAD_S = 900.0


def download(requirement: str, folder: Path, options: Sequence[str] = ()) -> Path:
    """Fetch one package, without what it depends on, and return the file.

    Args:
        requirement: name and version ("ncnn==1.0.20261020").
        folder: an empty folder, made if it is not there.
        options: more of pip's options.

    Raises:
        BuildFailed: it cannot be had; the message repeats what pip says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download"]
    run(
        [*pip, "--no-deps", "--dest", folder, *options, requirement],
        f"fetching {requirement}",
        timeout_s=DOWNLOAD_S,
        # It is exact and alone, so that constraints say nothing about it; and pip's old resolver,
        # which ncnn_source.py needs, falls over any that this machine's settings name.
        variables={"PIP_CONSTRAINT": os.devnull},
    )
    found = [path for path in folder.iterdir() if path.is_file()]
    if len(found) != 1:
        raise BuildFailed(f"pip fetched {len(found)} files for {requirement}; one was expected")
    return found[0]
