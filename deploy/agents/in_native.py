"""The agent in C++, for phones, and for boards without Python."""

from __future__ import annotations

from collections.abc import Callable

from groundspeed.deploy.agents.native import NativeRunner, Recipe, build_runner
from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.link import Link
from groundspeed.measurement import Job

_WORKS_ALONE = "ncnn"  # what a device is can be asked of any runner; this one needs no libraries


class NativeAgent:
    """Runs a program that was built for the device and needs nothing there.

    Args:
        architecture: the device's, as its ``uname -m`` says it.
        recipe: how its runners are made.
    """

    needs_inputs = True

    def __init__(self, architecture: str, recipe: Recipe | None = None) -> None:
        self._architecture = architecture
        self._recipe = recipe or Recipe()
        self._runners: dict[str, NativeRunner] = {}  # what was asked of compilers once

    def command(
        self, job: Job, link: Link, cache: Cache, on_progress: Callable[[str], None]
    ) -> list[str]:
        """Build the runner of the job's runtime, once, and put it on the device.

        Raises:
            UsageError: no runner can be had for this device, or there is no compiler here.
            BuildFailed: the runner cannot be built.
        """
        runtime = job.runtime or _WORKS_ALONE
        if runtime not in self._runners:
            self._runners[runtime] = build_runner(
                runtime, self._architecture, recipe=self._recipe, on_progress=on_progress
            )
        runner = self._runners[runtime]
        return runner.command(cache.ensure(runner.files, on_progress))
