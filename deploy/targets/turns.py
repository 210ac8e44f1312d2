"""Processes that compute one at a time, by turns, so that all of them see the same machine.

All are alive at once, and while one computes the others are stopped (SIGSTOP); every moment the
next has its turn. However clocks and neighbours change within seconds, they change for all of them
alike, and each is still a whole launch. The few inferences that a stop falls into take far too
long; medians do not see them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

TURN_S = 0.1

Process = subprocess.Popen[str]


def take_turns(processes: Sequence[Process], turn_s: float = TURN_S) -> None:
    """Let stopped processes compute one at a time until all of them have ended.

    Args:
        processes: each the leader of a group of its own, and stopped.
        turn_s: how long each computes before it is the next one's turn.
    """
    while alive := [process for process in processes if process.poll() is None]:
        for process in alive:
            _take_turn(process, turn_s)


def stop(process: Process) -> None:
    """Stop a process and its group, and wait until it stands; one that has ended does."""
    _send(process, signal.SIGSTOP)
    # Its end, if it came to that, is left for whoever waits for the process.
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def _take_turn(process: Process, turn_s: float) -> None:
    _send(process, signal.SIGCONT)
    try:
        process.wait(turn_s)
    except subprocess.TimeoutExpired:
        stop(process)


def _send(process: Process, number: signal.Signals) -> None:
    # A group may outlive its leader, and may have gone before it was waited for.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
