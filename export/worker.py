"""The child process that converts: writes one file, opens it again and checks it.

Converters and engines are large native programs that may crash, hang, print or leak; here they can,
and the program that asked goes on. ``python -m groundspeed.export.worker REQUEST`` reads a request
as JSON from a file and leaves its answer in another; whatever it prints is a log.
"""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groundspeed.artifact import Parity
from groundspeed.documents import dump, from_plain, write_atomically
from groundspeed.errors import ConverterFailed, ExportError, GroundspeedError
from groundspeed.export.formats import FORMATS
from groundspeed.export.writer import Writer, Written
from groundspeed.quantization import Quantization

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the child is asked to do.

    Attributes:
        format, precision, layout: as ``Writer.write`` takes them.
        runtime: the runtime that the file is checked with.
        program: the canonical graph with its example inputs, a ``.pt2`` file; or an ``.onnx`` file
            that could not be imported.
        reference: the untouched network, a ``.pt2`` file; for an ``.onnx`` file that file itself.
        quantization: how the float file is quantized; None leaves it as it is.
        samples: what a quantized file is checked on, a ``.pt`` file of sets of inputs.
        folder: where the written files go.
        answer: where the answer goes.
        parent: id of the process that asks.
    """

    format: str
    precision: str
    layout: str | None
    runtime: str
    program: Path
    reference: Path
    folder: Path
    answer: Path
    parent: int
    quantization: Quantization | None = None
    samples: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a request.

    Attributes:
        written: the files; None after an error.
        parity: whether they compute what the network computes; None after an error.
        tensors: name of a tensor in the file -> canonical op.
        error: class of the error, "" if there was none.
        message: what the error says.
    """

    written: Written | None = None
    parity: Parity | None = None
    tensors: dict[str, str] | None = None
    error: str = ""
    message: str = ""


def main(arguments: Sequence[str]) -> None:
    """Carry out the request in the file that the one argument names."""
    (path,) = arguments
    request = from_plain(Request, json.loads(Path(path).read_text()))
    _die_with(request.parent)
    try:
        answer = carry_out(request)
    except GroundspeedError as error:
        answer = Answer(error=type(error).__name__, message=str(error))
    write_atomically(request.answer, dump(answer))


def carry_out(request: Request) -> Answer:
    """Convert and check.

    Raises:
        ExportError: the network cannot be written in this format.
        MissingExtra: the converter is not installed.
    """
    # First, because what is not installed should be told before the long imports below.
    writer: Writer = FORMATS.load(request.format)()

    try:
        if request.program.suffix == ".onnx":
            return _write_graph(request)
        return _write_program(request, writer)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ExportError(
            f"there is no space left for {request.format} files; free some, or choose another "
            "folder with --output, and another place for temporary files with TMPDIR"
        ) from error


def _write_graph(request: Request) -> Answer:
    from groundspeed.export.onnx_to_onnx import write_graph

    written, parity = write_graph(
        request.program,
        request.folder,
        runtime=request.runtime,
        precision=request.precision,
        layout=request.layout,
    )
    return Answer(written=written, parity=parity, tensors={})


def _write_program(request: Request, writer: Writer) -> Answer:
    import torch

    from groundspeed.export.check import check
    from groundspeed.export.quantize.apply import quantize_file
    from groundspeed.export.rewrites.catalog import rewrite

    program = torch.export.load(request.program)
    inputs, _ = program.example_inputs
    graph_module, steps = rewrite(program, request.format)
    written = writer.write(
        graph_module,
        inputs,
        request.folder,
        precision=request.precision if request.quantization is None else "fp32",
        layout=request.layout,
    )
    if not written.files:
        raise ConverterFailed(f"the writer of {request.format} wrote no files")
    reference = torch.export.load(request.reference).module()
    if request.quantization is None:
        checked = check(
            program,
            reference,
            inputs,
            written,
            request.folder,
            runtime=request.runtime,
            precision=request.precision,
        )
    else:
        assert request.samples is not None
        written, checked = quantize_file(
            program,
            reference,
            inputs,
            written,
            request.folder,
            request.quantization,
            torch.load(request.samples, weights_only=True),
            format=request.format,
            runtime=request.runtime,
            precision=request.precision,
        )
    return Answer(
        written=dataclasses.replace(written, steps=(*steps, *written.steps)),
        parity=checked.parity,
        tensors=checked.tensors,
    )


def _die_with(parent: int) -> None:
    """Let this process die when its parent does, even by ``kill -9``; only Linux can."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
