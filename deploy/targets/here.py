"""The link to this machine: what works on a device can be asked of ourselves in the same words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from groundspeed.deploy.targets.client import Overdue, talk
from groundspeed.deploy.targets.link import Finished, OnLine, make_folder
from groundspeed.errors import DeviceLost, DeviceRefused


class HereLink:
    """Runs scripts in this machine's own shell.

    Args:
        folder: Groundspeed's folder for files that come and go.
    """

    name = "local"

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or user_cache()

    @property
    def folder(self) -> str:
        """See ``Link.folder``."""
        return make_folder(self, str(self._folder))

    def run(
        self,
        script: str,
        arguments: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        on_line: OnLine | None = None,
    ) -> Finished:
        """Run a script; see ``Link.run``."""
        command = ["sh", "-c", script, "sh", *arguments]
        try:
            ended = talk(command, timeout_s=timeout_s, stdin=stdin, on_line=on_line)
        except Overdue:
            raise DeviceLost(f"a command here took longer than {timeout_s:.0f} s") from None
        status = ended.code if ended.code >= 0 else 128 - ended.code
        return Finished(status=status, stdout=ended.stdout, stderr=ended.stderr)

    def push(self, source: Path, destination: str, *, timeout_s: float) -> str:
        """Copy a file; see ``Link.push``."""
        _copy(source, Path(destination))
        return ""

    def pull(self, source: str, destination: Path, *, timeout_s: float) -> None:
        """Copy a file; see ``Link.pull``."""
        part = destination.with_name(f".{destination.name}.part")
        _copy(Path(source), part)
        part.replace(destination)

    def close(self) -> None:
        """Nothing is held."""


def user_cache() -> Path:
    """Return where the user's programs keep what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "groundspeed")


def _copy(source: Path, destination: Path) -> None:
    try:
        shutil.copyfile(source, destination)
    except OSError as error:
        raise DeviceRefused(
            f"{source} could not be copied to {destination} ({error.strerror})"
        ) from error
