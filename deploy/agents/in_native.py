"""The agent in C++, for phones, and for boards without Python."""

from __future__ import annotations

from collections.abc import Callable

from groundspeed.deploy.agents.native import Recipe, build_runner
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

    def command(
        self, job: Job, link: Link, cache: Cache, on_progress: Callable[[str], None]
    ) -> list[str]:
        """Build the runner of the job's runtime, once, and put it on the device.

        Raises:
            UsageError: no runner can be had for this device, or there is no compiler here.
            BuildFailed: the runner cannot be built.
        """
        runner = build_runner(
            job.runtime or _WORKS_ALONE,
            self._architecture,
            recipe=self._recipe,
            on_progress=on_progress,
        )
        return runner.command(cache.ensure(runner.files, on_progress))
