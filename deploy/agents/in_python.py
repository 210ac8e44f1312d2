"""The agent in Python, for boards that have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from groundspeed.deploy.agents.archive import agent_archive
from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.link import Link
from groundspeed.errors import DeviceRefused
from groundspeed.measurement import Job

# Unpacked, so that Python can keep what it compiled: from a zip file it compiles in every launch.
_UNPACK = """
command -v "$1" >/dev/null || exit 69
[ -d "$3" ] && exit 0
"$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || exit 70
rm -rf "$3.part" && "$1" -m zipfile -e "$2" "$3.part" && { mv "$3.part" "$3" || [ -d "$3" ]; }
"""


class PythonAgent:
    """Runs with the board's Python and whatever engines that finds.

    Args:
        folder: where archives are kept on this machine.
        python: the interpreter on the device, 3.11 or later.
        packages: folders on the device with packages, such as ``provision`` leaves there.
    """

    needs_inputs = False

    def __init__(
        self, folder: Path, *, python: str = "python3", packages: Sequence[str] = ()
    ) -> None:
        self._folder = folder
        self._python = python
        self._packages = tuple(packages)

    def command(
        self, job: Job, link: Link, cache: Cache, on_progress: Callable[[str], None]
    ) -> list[str]:
        """Put the archive on the device, unpack it once; see ``Agent.command``."""
        archive = agent_archive(self._folder)
        unpacked = f"{link.folder}/agents/{archive.stem}"
        if not cache.remembers(archive):
            there = cache.ensure([archive], on_progress)[archive]
            self._unpack(link, str(there), unpacked)
        path = ":".join([unpacked, *self._packages])
        return ["env", f"PYTHONPATH={path}", self._python, "-P", "-m", "groundspeed.runtimes.agent"]

    def _unpack(self, link: Link, archive: str, unpacked: str) -> None:
        done = link.run(
            f'mkdir -p "${{3%/*}}" || exit 1\n{_UNPACK}',
            [self._python, archive, unpacked],
            timeout_s=60,
        )
        if done.status in (69, 70):
            raise DeviceRefused(
                f"{link.name} has no {self._python} of version 3.11 or later; install one there, "
                'or let the native agent measure (agent = "native" in groundspeed.toml)'
            )
        if done.status != 0:
            raise DeviceRefused(f"the agent could not be unpacked on {link.name}: {done.complaint}")
