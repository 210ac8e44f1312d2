"""Other versions of packages than those that are installed here, to measure or export with.

They are fetched once, each set into a folder of its own that stands before the installed packages
in ``PYTHONPATH``. What such a folder lacks is taken from these, so that what differs is what was
asked for and nothing else.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from groundspeed.deploy.agents.kept import Kept
from groundspeed.deploy.targets.here import user_cache
from groundspeed.errors import UsageError

FETCH_S = 900.0
_EXACT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.+!_-]*)")


def name_and_version(requirement: str) -> tuple[str, str]:
    """Return name and version of "onnxruntime==1.31.0".

    Raises:
        UsageError: it names no exact version, without which nothing could be made again.
    """
    found = _EXACT.fullmatch(requirement.strip())
    if found is None:
        raise UsageError(
            f"'{requirement}' names no package in an exact version; write onnxruntime==1.31.0"
        )
    return found[1].lower().replace("_", "-"), found[2]


def fetched(
    requirements: Sequence[str], on_progress: Callable[[str], None] = lambda words: None
) -> Path:
    """Return a folder with packages in the versions that are asked for, and nothing they need.

    Args:
        requirements: exact ones, such as "onnxruntime==1.31.0".
        on_progress: called with a sentence when they have to be fetched.

    Raises:
        UsageError: a requirement is not exact, or the package index has no such wheel.
    """
    asked = sorted("==".join(name_and_version(each)) for each in requirements)

    def fetch(folder: Path) -> None:
        on_progress(f"fetching {', '.join(asked)}")
        _install(asked, folder)

    python = f"{sys.implementation.cache_tag}-{os.uname().machine}"
    name = "+".join(name_and_version(each)[0] for each in asked)
    return Kept(user_cache() / "packages").get(name, [python, *asked], fetch)


def environment(
    requirements: Sequence[str], on_progress: Callable[[str], None] = lambda words: None
) -> dict[str, str] | None:
    """Return the variables of a Python process that finds these packages first.

    None, which lets a process have ours, where there are no requirements.

    Raises:
        UsageError: as in :func:`fetched`.
    """
    if not requirements:
        return None
    ours = os.environ.get("PYTHONPATH")
    folder = str(fetched(requirements, on_progress))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([folder, *([ours] if ours else [])])}


def installed(package: str) -> str | None:
    """Return the version of a package that is installed here; None without it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _install(requirements: Sequence[str], folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    limits = ["--no-deps", "--only-binary=:all:", "--retries", "1", "--timeout", "15"]
    try:
        said = subprocess.run(
            [*pip, *limits, "--target", str(folder), *requirements],
            capture_output=True,
            text=True,
            timeout=FETCH_S,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"{', '.join(requirements)} could not be fetched in {FETCH_S:.0f} s; try again later"
        ) from None
    if said.returncode:
        lines = [line for line in said.stderr.splitlines() if line.startswith("ERROR")]
        reason = (lines or said.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise UsageError(
            f"{', '.join(requirements)} cannot be fetched: {reason.removeprefix('ERROR: ')}"
        )
