"""Client programs (ssh, adb): fed, heard line by line, and ended at a deadline."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from groundspeed.deploy.targets.lines import Lines
from groundspeed.errors import MissingExtra

CHUNK = 1 << 16


class Overdue(Exception):
    """A client did not end in its time; it is killed."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A client that ended by itself: its exit code, and all that it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


def talk(
    command: Sequence[str],
    *,
    timeout_s: float,
    stdin: bytes | IO[bytes] = b"",
    stdout: IO[bytes] | None = None,
    on_line: Callable[[str], None] | None = None,
    install: str = "",
) -> Ended:
    """Run a client to its end; however this is left, the client is gone.

    Args:
        command: its command line.
        timeout_s: how long it may take.
        stdin: what it reads: bytes, or an open file.
        stdout: file for what it writes; by default it is returned.
        on_line: called with each line of its standard output as it comes.
        install: how the program is installed, for the message when it is not.

    Raises:
        Overdue: it took longer.
        MissingExtra: there is no such program.
    """
    given, source = (stdin, subprocess.PIPE) if isinstance(stdin, bytes) else (b"", stdin)
    try:
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches only us, and one group is killed
        )
    except FileNotFoundError:
        raise MissingExtra(f"the program '{command[0]}' is not installed: {install}") from None
    with process:
        try:
            return _hear(process, given, time.monotonic() + timeout_s, on_line)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _hear(
    process: subprocess.Popen[bytes],
    given: bytes,
    end: float,
    on_line: Callable[[str], None] | None,
) -> Ended:
    heard = {process.stdout: Lines(on_line), process.stderr: Lines()}
    left = memoryview(given)
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, pipe)
        if process.stdin is not None and given:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, process.stdin)
        elif process.stdin is not None:
            process.stdin.close()
        while selector.get_map():
            remaining = end - time.monotonic()
            if remaining <= 0:
                raise Overdue
            for key, _ in selector.select(remaining):
                stream: IO[bytes] = key.data
                if stream is process.stdin:
                    try:
                        left = left[os.write(key.fd, left[:CHUNK]) :]
                    except BrokenPipeError:
                        left = left[:0]
                    if not left:
                        selector.unregister(stream)
                        stream.close()
                    continue
                data = os.read(key.fd, CHUNK)
                if not data:
                    selector.unregister(stream)
                    continue
                heard[stream].add(data)
    try:
        code = process.wait(max(end - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise Overdue from None
    stdout, stderr = heard[process.stdout].bytes, heard[process.stderr].bytes
    return Ended(code=code, stdout=bytes(stdout), stderr=bytes(stderr))
