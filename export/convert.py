"""Conversion in a process of its own, with a time limit."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch

from groundspeed import errors
from groundspeed.documents import dump, from_plain
from groundspeed.errors import ConverterFailed, ExportError, GroundspeedError
from groundspeed.export.onnx_graph import OnnxGraph
from groundspeed.export.prepare import Prepared
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.worker import Answer, Request
from groundspeed.quantization import Quantization

# -P: a file of the user's called json.py in the working folder must not replace Python's own.
COMMAND = (sys.executable, "-P", "-m", "groundspeed.export.worker")
LAST_LINES = 5


def convert(
    network: Prepared | OnnxGraph,
    *,
    format: str,
    precision: str,
    layout: str | None,
    runtime: str,
    folder: Path,
    log: Path,
    timeout_s: float,
    quantization: Quantization | None = None,
    samples: Sequence[Sample] = (),
) -> Answer:
    """Write a network's files and check them, in a child process.

    Args:
        network: the network.
        format: name of the format.
        precision: "fp32" or "fp16".
        layout: "NCHW" or "NHWC" for image inputs, None for what suits the format.
        runtime: the runtime that the files are checked with.
        folder: where the files go; it exists and is empty.
        log: where everything that the converter printed stays if it fails.
        timeout_s: longest time that it may take.
        quantization: ranges, and what stays in floating point, for a precision of integers.
        samples: what a file with integers is checked on.

    Raises:
        ConverterFailed: it crashed, or was stopped at the limit.
        ExportError: the network cannot be written in this format.
        MissingExtra: the converter is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="groundspeed-") as scratch:
        program, reference = _hand_over(network, Path(scratch))
        request = Request(
            format=format,
            precision=precision,
            layout=layout,
            runtime=runtime,
            program=program,
            reference=reference,
            folder=folder.absolute(),
            answer=Path(scratch) / "answer.json",
            parent=os.getpid(),
            quantization=quantization,
            samples=_save_samples(samples, Path(scratch)) if quantization else None,
        )
        path = Path(scratch) / "request.json"
        path.write_text(dump(request))
        what = f"the conversion to {format} {precision}"
        try:
            _run(path, what=what, log=log, timeout_s=timeout_s)
        except KeyboardInterrupt:
            log.unlink(missing_ok=True)
            raise
        answer = from_plain(Answer, json.loads(request.answer.read_text()))
    log.unlink()
    if answer.error:
        raise _known(answer.error)(answer.message)
    return answer


def _hand_over(network: Prepared | OnnxGraph, scratch: Path) -> tuple[Path, Path]:
    """Save a network for the child; return the files of its graph and of its reference."""
    try:
        if isinstance(network, OnnxGraph):
            graph = scratch / "graph.onnx"
            onnx.save(network.model, graph)
            return graph, graph
        program, reference = scratch / "program.pt2", scratch / "reference.pt2"
        _save(network.program, program)
        _save(network.traced, reference)
        return program, reference
    except OSError as error:
        raise ExportError(
            f"the network could not be handed to the converter in {scratch} ({error}); is "
            "there space left? TMPDIR names another place"
        ) from error


def _save(program: torch.export.ExportedProgram, path: Path) -> None:
    # By way of memory: torch's own writer of files ends the whole process when the disk is full.
    content = io.BytesIO()
    torch.export.save(program, content)
    path.write_bytes(content.getbuffer())


def _save_samples(samples: Sequence[Sample], scratch: Path) -> Path:
    path = scratch / "samples.pt"
    torch.save(list(samples), path)
    return path


def _run(request: Path, *, what: str, log: Path, timeout_s: float) -> None:
    """Run the child to its end.

    Raises:
        ConverterFailed: it did not end by itself, or not well.
    """
    with _started(request, log) as process:
        try:
            code = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ConverterFailed(
                f"{what} was stopped after {timeout_s:g} s; raise the limit with --timeout if the "
                f"network is large; its log is {log}"
            ) from None
    if code != 0:
        raise ConverterFailed(f"{what} ended with {_death(code)}{_tail(log)}; its log is {log}")


@contextlib.contextmanager
def _started(request: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the child; however the block is left, nothing of it goes on running."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            (*COMMAND, str(request)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # one group to kill, and Ctrl-C reaches only us
        )
    with process:
        try:
            yield process
        finally:
            # A group outlives its leader while it has other members: pnnx, for one.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def _death(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name} (probably out of memory)" if name == "SIGKILL" else name


def _tail(log: Path) -> str:
    """Return the last lines that the child wrote, behind a colon."""
    lines = log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
    return ": " + " | ".join(line.strip() for line in lines) if lines else ", saying nothing"


def _known(name: str) -> type[GroundspeedError]:
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, GroundspeedError) else ExportError
