"""What every way of reaching a machine implements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from groundspeed.measurement import Answered, Job, Launch, Machine

OnProgress = Callable[[str], None]


class Target(Protocol):
    """A machine on which the agent can be started."""

    @property
    def name(self) -> str:
        """What the user calls it ("local")."""
        ...

    def run(self, job: Job, on_progress: OnProgress | None = None) -> Launch:
        """Run one job in a fresh process and return its result.

        Args:
            job: what to do; its files are paths on this machine.
            on_progress: called with a short sentence whenever the agent says how far it is.

        Raises:
            GroundspeedError: the agent's own error, of the class that it had there.
            LaunchError: the agent died, or took longer than it may.
            DeviceLost, DeviceRefused: the device went away, or will not do it.
        """
        ...

    def answer(self, job: Job, on_progress: OnProgress | None = None) -> Answered:
        """Run an "answer" job in a fresh process; its outputs are then in the job's file here.

        Args:
            job: what to do; its files, inputs and outputs are paths on this machine.
            on_progress: called with a short sentence whenever the agent says how far it is.

        Raises:
            GroundspeedError: as :meth:`run`.
        """
        ...

    def cores(self, text: str) -> tuple[int, ...]:
        """Return the CPUs that "big", "little" or numbers like "0-3,6" mean there; "" none.

        Raises:
            UsageError: it has no such CPUs.
        """
        ...

    def facts(self) -> Machine:
        """Return what does not change while the machine is up.

        Raises:
            LaunchError: the agent died, or took longer than it may.
        """
        ...
