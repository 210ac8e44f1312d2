"""What every way of reaching a machine implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from groundspeed.errors import GroundspeedError
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


@runtime_checkable
class TakesTurns(Target, Protocol):
    """A target that can let launches take turns, so that all of them see the same machine."""

    def run_by_turns(self, jobs: Sequence[Job], turn_s: float) -> list[Launch | GroundspeedError]:
        """Run jobs in fresh processes that are alive at once, and of which one computes at a time.

        Args:
            jobs: what to do; the seconds they ask for are those of their own turns.
            turn_s: how long one computes before it is the next one's turn. Few inferences should
                fall on the end of a turn, for they last until the next.

        Returns:
            For each job its result, or the error that :meth:`run` would have raised.
        """
        ...
