"""Calibration: run the folded network on data, and note what range the values of each tensor take.

One calibration serves every format: ranges belong to the ops of the canonical graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from groundspeed.errors import DataError
from groundspeed.export.graph import value_name
from groundspeed.export.quantize.movement import joined
from groundspeed.export.quantize.observers.catalog import OBSERVERS
from groundspeed.export.quantize.observers.minmax import MinMax
from groundspeed.export.quantize.observers.observer import Observer
from groundspeed.quantization import DEFAULT_OBSERVER, Calibration, Range

FEW = 32

# One set of inputs of the network, in order.
Sample = tuple[torch.Tensor, ...]


def calibrate(
    program: ExportedProgram,
    samples: Sequence[Sample],
    *,
    data: str,
    observer: str = DEFAULT_OBSERVER,
    notes: Sequence[str] = (),
    on_progress: Callable[[str], None] | None = None,
) -> Calibration:
    """Return the range of every tensor of the canonical graph.

    Args:
        program: the canonical graph.
        samples: inputs to run it on, of the shapes that it was traced with.
        data: where they come from, in words.
        observer: name in the catalogue of observers.
        notes: what is odd about the data.
        on_progress: called with a short sentence now and then.

    Raises:
        UnknownName: there is no such observer.
        DataError: there are no samples, their shapes do not fit, or a tensor holds NaN or
            infinity on one of them.
    """
    if not samples:
        raise DataError(
            f"{data} holds no samples to calibrate on; name data with at least one, better {FEW}"
        )
    make = OBSERVERS.load(observer)
    watching = _Watching(program, make)
    for number, sample in enumerate(samples, start=1):
        if on_progress is not None:
            on_progress(f"calibrating on sample {number} of {len(samples)}")
        watching.see(sample, number)
    ranges = {name: each.range() for name, each in watching.observers.items()}
    few = (f"only {len(samples)} samples: ranges may be too narrow",)
    return Calibration(
        observer=observer,
        data=data,
        samples=len(samples),
        ranges=joined(program.graph, ranges),
        notes=(*notes, *(few if len(samples) < FEW else ()), *_constant(ranges)),
    )


def _constant(ranges: dict[str, Range]) -> tuple[str, ...]:
    """Return a note that names the tensors without a range of their own."""
    names = [name for name, found in ranges.items() if found.is_constant]
    return (f"zero on every sample, scale 1 taken: {', '.join(names)}",) if names else ()


class _Watching(Interpreter):
    """Runs the canonical graph and shows every floating-point tensor to its observer."""

    def __init__(self, program: ExportedProgram, make: Callable[[], Observer]) -> None:
        super().__init__(program.module(check_guards=False))
        self._make = make
        self._number = 0
        self._shapes = [
            tuple(node.meta["val"].shape)
            for node in self.module.graph.nodes  # type: ignore[union-attr]
            if node.op == "placeholder"
        ]
        self.observers: dict[str, Observer] = {}

    def see(self, sample: Sample, number: int) -> None:
        """Run one sample."""
        shapes = [tuple(tensor.shape) for tensor in sample]
        if shapes != self._shapes:
            raise DataError(
                f"sample {number} has the shape {_text(shapes)}, the network takes "
                f"{_text(self._shapes)}; give the data in that shape and layout (NCHW)"
            )
        self._number = number
        with torch.no_grad():
            self.run(*sample)

    def run_node(self, n: Node) -> Any:
        """Compute one op, and show what it computed."""
        result = super().run_node(n)
        watched = n.op in ("placeholder", "call_function")
        if watched and isinstance(result, torch.Tensor) and result.is_floating_point():
            values = result.detach().numpy().astype(np.float32, copy=False)
            if not np.isfinite(values).all():
                raise DataError(
                    f"'{value_name(n)}' holds NaN or infinity on sample {self._number}: no integer "
                    "can stand for that; check the data's normalization and the network's weights"
                )
            # An image's background is half of its values: observers that clip what is rare would
            # take all but the background for that.
            make = MinMax if n.op == "placeholder" else self._make
            self.observers.setdefault(value_name(n), make()).observe(values)
        return result


def _text(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes)
