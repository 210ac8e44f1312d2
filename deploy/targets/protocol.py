"""What the agent says on its standard output, the same on every target.

One JSON document a line, each with one key: ``progress`` (a sentence), and last ``result`` (a
``Launch``; ``Answered`` for the action "answer", a ``Machine`` for "facts") or ``error`` (class
name and message).
"""

from __future__ import annotations

import json
import signal
from typing import Any, TypeVar

from groundspeed import errors
from groundspeed.deploy.targets.target import OnProgress
from groundspeed.documents import from_plain
from groundspeed.errors import GroundspeedError, LaunchError
from groundspeed.measurement import Job

T = TypeVar("T")


class Conversation:
    """Collects the agent's lines until its last word.

    Args:
        job: what the agent was asked to do.
        on_progress: called with each progress sentence.
    """

    def __init__(self, job: Job, on_progress: OnProgress | None = None) -> None:
        self._job = job
        self._on_progress = on_progress
        self._last: dict[str, Any] = {}

    def hear(self, line: str) -> None:
        """Take one line; what is no document of the protocol is an engine's chatter."""
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if "progress" in said:
            if self._on_progress is not None:
                self._on_progress(str(said["progress"]))
        elif "result" in said or "error" in said:
            self._last = said

    @property
    def ended(self) -> bool:
        """Whether the agent said its last word."""
        return bool(self._last)

    def answer(self, kind: type[T]) -> T:
        """Return the result as a ``kind``.

        Raises:
            GroundspeedError: the agent's error, of the class that it names.
            LaunchError: the result is not what was asked for.
        """
        if "error" in self._last:
            raise named_error(self._last["error"])
        try:
            return from_plain(kind, self._last["result"])
        except (KeyError, ValueError) as error:
            raise LaunchError(
                f"the agent's answer to {describe(self._job)} is not a {kind.__name__} ({error}); "
                "agent and Groundspeed must be of the same version"
            ) from error


def named_error(said: dict[str, Any]) -> GroundspeedError:
    """Return the error of the class and message that the agent named."""
    kind = getattr(errors, str(said.get("class")), None)
    message = str(said.get("message"))
    if isinstance(kind, type) and issubclass(kind, GroundspeedError):
        return kind(message)
    return LaunchError(f"{said.get('class')}: {message}")


def describe(job: Job) -> str:
    """Return "measure in ncnn", for messages."""
    return f"{job.action} in {job.runtime}" if job.runtime else job.action


def deadline_s(job: Job) -> float:
    """Return the time after which a launch counts as hung, in seconds.

    Generous, for a loaded machine and a slow network: a minute to start and load, twenty times
    what the job may sample by the clock, and five seconds for each inference it must make.
    """
    profiled = 2 * job.profile_runs if job.action == "profile" else 0
    timed = job.action != "answer"
    by_clock = 20 * (job.max_warmup_seconds + job.min_seconds) if timed else 0
    return 60 + by_clock + 5 * (job.min_samples + profiled)


def death(code: int) -> str:
    """Return how a process of this exit code ended: -n here, 128 + n in a shell, is signal n."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit code {code}"
    advice = {"SIGKILL": ": probably out of memory", "SIGILL": ": an instruction this CPU lacks"}
    return name + advice.get(name, "")
