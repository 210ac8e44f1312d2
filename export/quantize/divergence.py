"""Where a file with integers first leaves what its simulation predicts.

A wrong file of floats has a first tensor that differs from the network's. In a file of integers
all differ; wrong is the one that is further off than the same rounding makes it in the simulation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.fx import Node

from groundspeed.export.align import Array
from groundspeed.export.graph import module_path
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.quantize.movement import moves
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.quantization import Quantization

Values = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """An op that a file computes wrongly.

    Attributes:
        op: the canonical op.
        module: the user's module that it stems from.
        off: largest error in the file, as a share of the op's largest magnitude.
        predicted: the same in the simulation.
        layer: canonical op of the layer whose values these are, "" if of none.
    """

    op: str
    module: str
    off: float
    predicted: float
    layer: str

    def __str__(self) -> str:
        return (
            f"{self.op} (module '{self.module}'), which is off by {self.off:.2g} of its largest "
            f"value where its simulation is by {self.predicted:.2g}"
        )


@dataclass
class _Error:
    """The largest difference from what is right, and the largest magnitude of that."""

    worst: float = 0.0
    peak: float = 0.0

    def add(self, exact: Values, found: Array) -> None:
        # Arrays rather than Python's max: NaN has to stay.
        self.worst = float(np.max([self.worst, _difference(exact, found)]))
        self.peak = max(self.peak, float(np.max(np.abs(exact), initial=0.0)))

    @property
    def relative(self) -> float:
        return self.worst / self.peak if self.peak else self.worst


def first_beyond(
    program: ExportedProgram,
    quantization: Quantization,
    tensors: Iterable[tuple[Sample, Iterable[tuple[str, Array]]]],
    ties: Mapping[str, str],
    *,
    symmetric: bool,
    allowed: Callable[[float], float],
) -> Divergence | None:
    """Return the first op whose error in a file is beyond what the simulation predicts.

    Args:
        program: the canonical graph.
        quantization: what the file was quantized by.
        tensors: some inputs, and with each the name and value of the file's tensors.
        ties: tensor of the file -> canonical op.
        symmetric: whether the zero point of activations is 0.
        allowed: gives the largest relative error that passes, for the simulation's.

    Returns:
        None if no tensor that is tied is.
    """
    plain = Simulation(program, quantization, only=())
    simulation = Simulation(program, quantization, symmetric=symmetric, module=plain.module)
    in_file: dict[str, _Error] = defaultdict(_Error)
    in_simulation: dict[str, _Error] = defaultdict(_Error)
    for sample, named in tensors:
        exact, simulated = _values(plain, sample), _values(simulation, sample)
        for name, array in named:
            op = ties.get(name, "")
            if op in exact and exact[op].size == array.size:
                in_file[op].add(exact[op], array)
                in_simulation[op].add(exact[op], simulated[op])
    for node in program.graph.nodes:
        if node.name not in in_file:
            continue
        off, predicted = in_file[node.name].relative, in_simulation[node.name].relative
        if not off <= allowed(predicted):  # NaN is beyond
            return Divergence(
                op=node.name,
                module=module_path(node),
                off=off,
                predicted=predicted,
                layer=_layer(program, node, quantization),
            )
    return None


def _values(simulation: Simulation, sample: Sample) -> dict[str, Values]:
    return {
        node.name: value.float().numpy()
        for node, value in simulation.values(sample).items()
        if node.op == "call_function" and isinstance(value, torch.Tensor)
    }


def _layer(program: ExportedProgram, node: Node, quantization: Quantization) -> str:
    """Return the layer of integers whose values an op holds, moved about at most."""
    owners = {member: layer.op for layer in layers(program) for member in layer.members}
    while moves(node) and len(node.all_input_nodes) == 1:
        (node,) = node.all_input_nodes
    layer = owners.get(node.name, "")
    return "" if layer in (quantization.float_ops or {}) else layer


def _difference(exact: Values, found: Array) -> float:
    """Return the largest difference, in the order of values that makes it least."""
    flat = np.asarray(found, np.float32).ravel()
    with np.errstate(all="ignore"):
        return min(float(np.max(np.abs(flat - order), initial=0.0)) for order in _orders(exact))


def _orders(array: Values) -> Iterator[Values]:
    """Yield values in order, and with the channels last."""
    yield array.ravel()
    if array.ndim >= 3:
        yield np.moveaxis(array, 1, -1).ravel()
