"""What every agent for devices implements: being put there, and its command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.link import Link
from groundspeed.measurement import Job


class Agent(Protocol):
    """A program that answers jobs on a device: JSON in, JSON lines out (``runtimes/agent.py``)."""

    @property
    def needs_inputs(self) -> bool:
        """Whether it cannot make seeded inputs itself, so that they must be sent as a file."""
        ...

    def command(
        self, job: Job, link: Link, cache: Cache, on_progress: Callable[[str], None]
    ) -> list[str]:
        """Put on the device what the job needs there, and return the words that start it.

        Raises:
            DeviceRefused: the device cannot run it; the message says what to do.
            DeviceLost: the link broke.
        """
        ...
