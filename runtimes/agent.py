"""``python -m groundspeed.runtimes.agent [RESULT]``: what runs on the device, a process a launch.

It reads one JSON ``Job`` on standard input and writes JSON lines on standard output:
``{"progress": sentence}`` any number of times, then exactly one ``{"result": ...}`` or
``{"error": {"class": ..., "message": ...}}``. The exit code is that of the error, 0 without one.

With RESULT, the path of a file, the last line is in that file before it is written out, and the
agent goes on though nobody may be listening any more: over a link that can break, what was measured
is picked up later. Without it, the agent dies with the process that started it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from groundspeed.documents import from_plain, to_plain, write_atomically
from groundspeed.errors import GroundspeedError, LaunchError, MissingExtra, UsageError
from groundspeed.measurement import FORMAT_VERSION, Job
from groundspeed.runtimes.answering import answer
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.conditions import read_machine
from groundspeed.runtimes.counting import count
from groundspeed.runtimes.measure import launch

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)


def main() -> int:
    """Answer one job and return the exit code."""
    result = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if result is None:
        die_with_parent()
    answers = _own_stdout()

    def say(kind: str, value: Any) -> None:
        line = json.dumps({kind: to_plain(value)}, allow_nan=False) + "\n"
        if result is not None and kind != "progress":
            _keep(result, line)
        try:
            answers.write(line)
            answers.flush()
        except OSError:
            if result is None:
                raise

    try:
        say("result", _answer(read_job(sys.stdin.read()), lambda words: say("progress", words)))
    except GroundspeedError as error:
        return _fail(error, say)
    except Exception as error:  # an engine may raise anything; whoever asked must hear of it
        return _fail(LaunchError(f"{type(error).__name__}: {error}"), say)
    return 0


def die_with_parent() -> None:
    """Let this process die when its parent does, even by ``kill -9``; only Linux can."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def read_job(text: str) -> Job:
    """Return the job that a JSON document describes.

    Raises:
        UsageError: it is no JSON, no job, or a job of a later version.
    """
    try:
        plain = json.loads(text)
        version = plain.get("format_version") if isinstance(plain, dict) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise UsageError(
                f"the job has format version {version}, this agent reads up to {FORMAT_VERSION}; "
                "install the same Groundspeed on both machines"
            )
        return from_plain(Job, plain)
    except ValueError as error:
        raise UsageError(f"what came on standard input is no job ({error})") from error


def _answer(job: Job, report_progress: Any) -> Any:
    if job.action == "facts":
        return {**to_plain(read_machine()), "runtimes": installed_runtimes()}
    if job.action == "answer":
        return answer(job, report_progress)
    if job.action == "count":
        return count(job)
    return launch(job, report_progress)


def installed_runtimes() -> dict[str, str]:
    """Return name -> version of every runtime whose engine can be loaded here."""
    found = {}
    for name in RUNTIMES:
        try:
            found[name] = RUNTIMES.load(name)().version
        except MissingExtra:
            continue
    return found


def _own_stdout() -> TextIO:
    """Take the real standard output away, and give engines standard error instead.

    Engines print to file descriptor 1 from C++; one such line among the answers would spoil them.
    """
    sys.stdout.flush()
    mine = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return mine


def _keep(result: Path, line: str) -> None:
    try:
        write_atomically(result, line.encode())
    except OSError as error:  # the disk is full, say; whoever still listens gets the line itself
        print(f"{result} cannot be written ({error})", file=sys.stderr)


def _fail(error: GroundspeedError, say: Any) -> int:
    say("error", {"class": type(error).__name__, "message": str(error)})
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
