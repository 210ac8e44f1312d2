"""What a phone does for an adb server on one stream: a shell, or the transfer of files.

https://android.googlesource.com/platform/packages/modules/adb (shell_protocol.h, SYNC.TXT)
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from device_tests.host.stand_ins.adb_wire import Stream

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
CHUNK = 1 << 16


def shell(stream: Stream, command: str, *, tell_exit: Callable[[], bool]) -> None:
    """Run a command as phones since Android 7 do: streams apart, exit status told.

    Args:
        stream: where its input comes from and what it writes goes to.
        command: for the phone's ``sh``.
        tell_exit: called at its end; False loses the exit status on the way.
    """
    process = _start(command, subprocess.PIPE)
    with process:
        assert process.stdin is not None
        pumps = [
            threading.Thread(target=_pump, args=(stream, process.stdout, STDOUT), daemon=True),
            threading.Thread(target=_pump, args=(stream, process.stderr, STDERR), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        feeding = threading.Thread(target=_feed, args=(stream, process), daemon=True)
        feeding.start()
        for pump in pumps:
            pump.join()
    if tell_exit():
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        stream.write(struct.pack("<BIB", EXIT, 1, status))


def old_shell(stream: Stream, command: str) -> None:
    """Run a command as phones before Android 7 do: one stream, and no exit status."""
    with _start(command, subprocess.STDOUT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        while data := os.read(process.stdout.fileno(), CHUNK):
            stream.write(data)


def sync(stream: Stream) -> None:
    """Serve questions about files, and transfers of them, until the server quits."""
    while True:
        request, size = struct.unpack("<4sI", stream.exactly(8))
        if request == b"QUIT":
            return
        path = stream.exactly(size).decode()
        if request == b"STAT":
            stream.write(_stat(Path(path)))
        elif request == b"SEND":
            _receive(stream, Path(path.rpartition(",")[0]))
        elif request == b"RECV":
            _send(stream, Path(path))
        else:
            _fail(stream, f"unknown request {request!r}")
            return


def _start(command: str, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
    )


def _pump(stream: Stream, pipe: IO[bytes], kind: int) -> None:
    with contextlib.suppress(EOFError):
        while data := os.read(pipe.fileno(), CHUNK):
            stream.write(struct.pack("<BI", kind, len(data)) + data)
        return
    while os.read(pipe.fileno(), CHUNK):  # nobody listens: like a phone, let it go on
        pass


def _feed(stream: Stream, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    try:
        while True:
            kind, size = struct.unpack("<BI", stream.exactly(5))
            data = stream.exactly(size)
            if kind == CLOSE_STDIN:
                process.stdin.close()
            elif kind == STDIN and not process.stdin.closed:
                # It may end, and be cleared away, between the question and the answer.
                with contextlib.suppress(BrokenPipeError, ValueError):
                    process.stdin.write(data)
                    process.stdin.flush()
    except EOFError:
        process.send_signal(signal.SIGHUP)  # its terminal is gone; children are not told


def _stat(path: Path) -> bytes:
    try:
        found = path.lstat()
    except OSError:
        return struct.pack("<4sIII", b"STAT", 0, 0, 0)
    size, time = found.st_size & 0xFFFFFFFF, int(found.st_mtime)
    return struct.pack("<4sIII", b"STAT", found.st_mode, size, time)


def _receive(stream: Stream, path: Path) -> None:
    """Write a file as it comes; what is wrong is said when all of it has come."""
    wrong = ""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("wb", buffering=0))
        except OSError as error:
            wrong = f"couldn't create file: {error.strerror}"
        while True:
            request, size = struct.unpack("<4sI", stream.exactly(8))
            if request == b"DONE":
                break
            data = stream.exactly(size)
            if not wrong:
                try:
                    file.write(data)
                except OSError as error:
                    wrong = f"write failed: {error.strerror}"
    if wrong:
        _fail(stream, wrong)
    else:
        stream.write(struct.pack("<4sI", b"OKAY", 0))


def _send(stream: Stream, path: Path) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        _fail(stream, f"open failed: {error.strerror}")
        return
    for start in range(0, len(data), CHUNK):
        piece = data[start : start + CHUNK]
        stream.write(struct.pack("<4sI", b"DATA", len(piece)) + piece)
    stream.write(struct.pack("<4sI", b"DONE", 0))


def _fail(stream: Stream, message: str) -> None:
    said = message.encode()
    stream.write(struct.pack("<4sI", b"FAIL", len(said)) + said)
