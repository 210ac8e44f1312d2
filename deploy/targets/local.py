"""This machine: the agent as a fresh process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, TypeVar

from groundspeed.deploy.devices.clusters import cores
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.targets.here import HereLink
from groundspeed.deploy.targets.protocol import Conversation, deadline_s, death, describe
from groundspeed.deploy.targets.target import OnProgress
from groundspeed.documents import to_plain
from groundspeed.errors import LaunchError
from groundspeed.measurement import Answered, Job, Launch, Machine

# -P: a file of the user's called json.py in the working folder must not replace Python's own.
COMMAND = (sys.executable, "-P", "-m", "groundspeed.runtimes.agent")
LAST_LINES = 5

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

    def _ask(self, job: Job, kind: type[T], on_progress: OnProgress | None = None) -> T:
        limit_s = deadline_s(job) if self._timeout_s is None else self._timeout_s
        conversation = Conversation(job, on_progress)
        # A file instead of a pipe: it never fills up, so that nobody has to read it meanwhile.
        with tempfile.TemporaryFile() as stderr:
            with self._started(stderr) as process, _killed_after(limit_s, process) as expired:
                assert process.stdin is not None
                assert process.stdout is not None
                # An agent that died already is found out below, by its exit code.
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(json.dumps(to_plain(job)) + "\n")
                for line in process.stdout:
                    conversation.hear(line)
                code = process.wait()
            if expired.is_set():
                raise LaunchError(
                    f"{describe(job)} was stopped after {limit_s:.0f} s without a result; "
                    "the file may hang its runtime, or the machine is far too busy"
                )
            if not conversation.ended:
                raise LaunchError(
                    f"{describe(job)} ended without a result ({death(code)}){tail(stderr)}"
                )
        return conversation.answer(kind)

    @contextlib.contextmanager
    def _started(self, stderr: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
        """Start the agent; however the block is left, nothing of it goes on running.

        If we are killed, the agent ends itself. That is not arranged here by a ``preexec_fn``:
        with one, Python runs its hooks around a fork, and a Ctrl-C that falls into them is lost.
        """
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
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


@contextlib.contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[str]) -> Iterator[threading.Event]:
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


def _kill_group(process: subprocess.Popen[str]) -> None:
    # A group outlives its leader while it has other members, so an exit code proves nothing.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def tail(stderr: IO[bytes]) -> str:
    """Return the last lines that the agent wrote for people, behind a colon."""
    stderr.seek(0)
    lines = stderr.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
    return ": " + " | ".join(lines) if lines else "; it said nothing"
