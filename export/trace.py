"""A network as a graph: ``torch.export`` of an ``nn.Module``, or a saved program."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from groundspeed.errors import ExportError, InputError, SourceError
from groundspeed.export.saved_program import check_is_data

_TORCH_SOURCE = re.compile(r"[/\\]torch[/\\]")
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


def trace(module: nn.Module, inputs: Sequence[torch.Tensor]) -> ExportedProgram:
    """Return the graph of ``module``, which is put in eval mode and stays in it.

    Args:
        module: the network.
        inputs: example inputs, in order; shapes are fixed to theirs.

    Raises:
        InputError: the network does not run on these inputs.
        ExportError: it runs, but ``torch.export`` cannot turn it into a graph.
    """
    module.eval()
    _check_runs(module, inputs)
    with torch.no_grad(), warnings.catch_warnings():
        # torch.export warns about its own internals (deprecated pytree calls, lifted constants).
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(module, tuple(inputs))
        except Exception as error:
            raise ExportError(
                f"{type(module).__name__} cannot be traced{_place(str(error))}: "
                f"{_first_line(error)}; control flow and shapes must not depend on values of "
                "tensors"
            ) from error


def _check_runs(module: nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """A network that does not even run deserves its own error, not one about tracing."""
    try:
        with torch.no_grad():
            module(*inputs)
    except Exception as error:
        shapes = ", ".join("x".join(map(str, input.shape)) for input in inputs)
        raise InputError(
            f"{type(module).__name__} does not run on inputs of {shapes}: "
            f"{_first_line(error)}; give the shapes that it was built for"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}".rstrip(".")


def _place(message: str) -> str:
    """Return " at file:line" of the user's innermost frame that torch's message shows, or ""."""
    frames = [
        f"{frame['file']}:{frame['line']}"
        for frame in _FRAME.finditer(message)
        if not _TORCH_SOURCE.search(frame["file"])
    ]
    return f" at {frames[-1]}" if frames else ""


def load_program(path: Path) -> ExportedProgram:
    """Return the program that ``torch.export.save`` wrote to a ``.pt2`` file.

    Only files that hold data and no code are opened; see :mod:`groundspeed.export.saved_program`.

    Raises:
        SourceError: there is no such file, it is damaged, or opening it could run code.
    """
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    check_is_data(path)
    try:
        return torch.export.load(path)
    except Exception as error:
        raise SourceError(
            f"{path} cannot be read by torch {torch.__version__} ({_first_line(error)}); save it "
            "again with this version"
        ) from error
