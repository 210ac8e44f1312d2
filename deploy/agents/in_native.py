"""The agent in C++, for phones, and for boards without Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from groundspeed.deploy.agents.native import build_runner
from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.link import Link
from groundspeed.measurement import Job


class NativeAgent:
    """Runs a program that was built for the device and needs nothing there.

    Args:
        architecture: the device's, as its ``uname -m`` says it.
        libraries: folder with the user's own builds of engines for it.
    """

    needs_inputs = True

    def __init__(self, architecture: str, *, libraries: Path | None = None) -> None:
        self._architecture = architecture
        self._libraries = libraries

    def command(
        self, job: Job, link: Link, cache: Cache, on_progress: Callable[[str], None]
    ) -> list[str]:
        """Build the runner of the job's runtime, once, and put it on the device."""
        runner = build_runner(
            job.runtime, self._architecture, libraries=self._libraries, on_progress=on_progress
        )
        return runner.command(cache.ensure(runner.files, on_progress))
