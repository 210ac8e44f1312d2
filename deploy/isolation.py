"""An artifact that is open in a process of its own, so that its engine may crash, print or hang."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from groundspeed.artifact import Artifact, TensorSpec
from groundspeed.deploy.targets.local import tail
from groundspeed.deploy.targets.protocol import death
from groundspeed.errors import GroundspeedError, LaunchError
from groundspeed.measurement import Options
from groundspeed.runtimes.affinity import restrict
from groundspeed.runtimes.agent import die_with_parent
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.session import Array, Runtime, Session

TIMEOUT_S = 300.0

# A fresh interpreter: a fork would take along the threads' locks of whatever is loaded here.
_CONTEXT = multiprocessing.get_context("spawn")

Feeds = Mapping[str, Array]


class IsolatedSession:
    """A session in a child process. Close it, or use it in a ``with`` block.

    Args:
        name: what to call it in messages.
        artifact: what to open.
        options: how to run it.
        timeout_s: longest time for one answer.

    Raises:
        ArtifactError: the runtime does not take the files.
        LaunchError: the process died.
        MissingExtra: the engine is not installed.
    """

    def __init__(
        self, name: str, artifact: Artifact, options: Options, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        with contextlib.ExitStack() as stack:
            # A file and no pipe: it never fills up, so that nobody has to read it meanwhile.
            self._log = stack.enter_context(
                tempfile.NamedTemporaryFile(prefix="groundspeed-", suffix=".log")
            )
            self._connection, theirs = _CONTEXT.Pipe()
            stack.enter_context(self._connection)
            # Our copy of their end is closed, or nobody would notice that theirs is gone.
            with theirs:
                self._process = self._started(theirs, artifact, options)
            stack.callback(self._end)
            self.inputs, self.outputs = self.receive()
            self._resources = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask_outputs(self, batches: Sequence[Feeds]) -> None:
        """Begin to compute the outputs of several sets of inputs; ``receive`` gives a list."""
        self._send("outputs", batches)

    def ask_tensors(self, feeds: Feeds, names: frozenset[str]) -> None:
        """Begin to compute the tensors of these names; ``receive`` gives name -> value."""
        self._send("tensors", (feeds, names))

    def receive(self) -> Any:
        """Return the answer to what was asked last.

        Raises:
            LaunchError: the process died, or took too long.
            GroundspeedError: what the session itself raised.
        """
        try:
            if not self._connection.poll(self._timeout_s):
                self._process.kill()
                raise LaunchError(
                    f"{self._name} gave no answer within {self._timeout_s:.0f} s; the file may "
                    "hang its runtime, or the machine is far too busy"
                )
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise LaunchError(
                f"the process that ran {self._name} ended without an answer "
                f"({death(self._process.exitcode or 0)}){tail(self._log)}"
            ) from None
        if isinstance(answer, GroundspeedError):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        self._resources.close()

    def _started(self, theirs: Connection, artifact: Artifact, options: Options) -> SpawnProcess:
        manifest, log = artifact.manifest, Path(self._log.name)
        process = _CONTEXT.Process(
            target=_serve,
            args=(theirs, log, manifest.runtime, artifact.paths, options, manifest.inputs),
            daemon=True,
        )
        with _interrupts_held_back():
            process.start()
        return process

    def _end(self) -> None:
        self._process.kill()
        self._process.join()

    def _send(self, action: str, value: Any) -> None:
        # Whoever died already is found out by the answer that does not come.
        with contextlib.suppress(ConnectionError):
            self._connection.send((action, value))


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start children that never see Ctrl-C, which reaches the whole group; the parent decides."""
    # Started by the first child otherwise, it would let interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection,
    log: Path,
    runtime: str,
    files: Mapping[str, Path],
    options: Options,
    specs: Sequence[TensorSpec],
) -> None:
    """Open the files and answer until nobody asks any more; the child's whole life."""
    die_with_parent()
    _print_into(log)
    try:
        restrict(options.cpus)
        engine: Runtime = RUNTIMES.load(runtime)()
        session = engine.open(files, options, specs)
        connection.send((session.inputs, session.outputs))
        while True:
            connection.send(_answer(session, *connection.recv()))
    except EOFError:
        return
    except GroundspeedError as error:
        connection.send(error)
    except Exception as error:  # an engine may raise anything; whoever asked must hear of it
        connection.send(LaunchError(f"{runtime} failed: {type(error).__name__}: {error}"))


def _answer(session: Session, action: str, value: Any) -> Any:
    if action == "outputs":
        return [session.run(feeds) for feeds in value]
    feeds, names = value
    return {name: array for name, array in session.tensors(feeds) if name in names}


def _print_into(log: Path) -> None:
    """Send what engines print, from C++ too, to a file."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
