"""This machine: the agent as a fresh process, or several that take turns."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TypeVar

from groundspeed.deploy.devices.clusters import cores
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.packages import environment
from groundspeed.deploy.targets.here import HereLink
from groundspeed.deploy.targets.protocol import Conversation, deadline_s, death, describe
from groundspeed.deploy.targets.target import OnProgress
from groundspeed.deploy.targets.turns import Process, stop, take_turns
from groundspeed.documents import to_plain
from groundspeed.errors import GroundspeedError, LaunchError
from groundspeed.measurement import Answered, Job, Launch, Machine

# -P: a file of the user's called json.py in the working folder must not replace Python's own.
COMMAND = (sys.executable, "-P", "-m", "groundspeed.runtimes.agent")
LAST_LINES = 5
LOOK_EVERY_S = 0.005

T = TypeVar("T")


class LocalTarget:
    """Runs each job in a process of its own on this machine.

    Args:
        timeout_s: longest time that a launch may take; by default it follows from the job.
        command: what to start instead of the agent.
    """

    name = "local"

    def __init__(
        self, *, timeout_s: float | None = None, command: tuple[str, ...] = COMMAND
    ) -> None:
        self._timeout_s = timeout_s
        self._command = command

    def run(self, job: Job, on_progress: OnProgress | None = None) -> Launch:
        """Run one job; see ``Target.run``."""
        return self._ask(job, Launch, on_progress)

    def answer(self, job: Job, on_progress: OnProgress | None = None) -> Answered:
        """Run an "answer" job; see ``Target.answer``."""
        return self._ask(job, Answered, on_progress)

    def cores(self, text: str) -> tuple[int, ...]:
        """Return the CPUs that a text means; see ``Target.cores``."""
        return cores(text, read_state(HereLink()), "this machine") if text else ()

    def facts(self) -> Machine:
        """Return what this machine is; see ``Target.facts``."""
        return self._ask(Job(action="facts"), Machine)

    def run_by_turns(self, jobs: Sequence[Job], turn_s: float) -> list[Launch | GroundspeedError]:
        """Run jobs that take turns; see ``TakesTurns.run_by_turns``."""
        limit_s = sum(map(self._limit_s, jobs))
        with contextlib.ExitStack() as stack:
            agents = []
            for job in jobs:
                # While the others have their turns, the clock goes on.
                longer = dataclasses.replace(
                    job,
                    min_seconds=len(jobs) * job.min_seconds,
                    max_warmup_seconds=len(jobs) * job.max_warmup_seconds,
                )
                said = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
                agents.append(stack.enter_context(self._told(longer, limit_s, said)))
                _wait_for_word(agents[-1].process, said)
                stop(agents[-1].process)
            take_turns([agent.process for agent in agents], turn_s)
            return [_outcome(agent) for agent in agents]

    def _ask(self, job: Job, kind: type[T], on_progress: OnProgress | None = None) -> T:
        with self._told(job, self._limit_s(job)) as agent:
            return agent.answer(kind, on_progress)

    def _limit_s(self, job: Job) -> float:
        return deadline_s(job) if self._timeout_s is None else self._timeout_s

    @contextlib.contextmanager
    def _told(self, job: Job, limit_s: float, said: IO[str] | None = None) -> Iterator[_Agent]:
        """Start the agent and tell it its job; it answers into a file, or else a pipe."""
        # A file instead of a pipe: it never fills up, so that nobody has to read it meanwhile.
        with (
            tempfile.TemporaryFile() as stderr,
            self._started(job.packages, said or subprocess.PIPE, stderr) as process,
            _killed_after(limit_s, process) as expired,
        ):
            answers = said or process.stdout
            assert process.stdin is not None
            assert answers is not None
            # An agent that died already is found out later, by its exit code.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(to_plain(job)) + "\n")
            yield _Agent(
                job=job,
                process=process,
                said=answers,
                stderr=stderr,
                limit_s=limit_s,
                expired=expired,
            )

    @contextlib.contextmanager
    def _started(
        self, packages: Sequence[str], stdout: int | IO[str], stderr: IO[bytes]
    ) -> Iterator[Process]:
        """Start the agent; however the block is left, nothing of it goes on running.

        If we are killed, the agent ends itself. That is not arranged here by a ``preexec_fn``:
        with one, Python runs its hooks around a fork, and a Ctrl-C that falls into them is lost.
        """
        try:
            process = subprocess.Popen(
                self._command,
                env=environment(packages),
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # one group to kill, and Ctrl-C reaches only us
            )
        except OSError as error:
            raise LaunchError(
                f"the agent could not be started ({error}); close other programs and try again"
            ) from error
        with process:
            try:
                yield process
            finally:
                _kill_group(process)


@dataclass(frozen=True, kw_only=True)
class _Agent:
    """An agent that was told its job."""

    job: Job
    process: Process
    said: IO[str]
    stderr: IO[bytes]
    limit_s: float
    expired: threading.Event

    def answer(self, kind: type[T], on_progress: OnProgress | None = None) -> T:
        """Hear what it says until it says no more, and return its answer."""
        conversation = Conversation(self.job, on_progress)
        for line in self.said:
            conversation.hear(line)
        code = self.process.wait()
        if not conversation.ended:
            if self.expired.is_set():
                raise LaunchError(
                    f"{describe(self.job)} was stopped after {self.limit_s:.0f} s without a "
                    "result; the file may hang its runtime, or the machine is far too busy"
                )
            raise LaunchError(
                f"{describe(self.job)} ended without a result ({death(code)}){tail(self.stderr)}"
            )
        return conversation.answer(kind)


def _wait_for_word(process: Process, said: IO[str]) -> None:
    """Let an agent compute until it speaks: by then it dies with us, even while it is stopped."""
    while process.poll() is None and not os.fstat(said.fileno()).st_size:
        time.sleep(LOOK_EVERY_S)


def _outcome(agent: _Agent) -> Launch | GroundspeedError:
    agent.said.seek(0)
    try:
        return agent.answer(Launch)
    except GroundspeedError as error:
        return error


@contextlib.contextmanager
def _killed_after(seconds: float, process: Process) -> Iterator[threading.Event]:
    """Kill the process group after a time; the event tells whether that happened."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill_group(process)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def _kill_group(process: Process) -> None:
    # A group outlives its leader while it has other members, so an exit code proves nothing.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def tail(stderr: IO[bytes]) -> str:
    """Return the last lines that the agent wrote for people, behind a colon."""
    stderr.seek(0)
    lines = stderr.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
    return ": " + " | ".join(lines) if lines else "; it said nothing"
