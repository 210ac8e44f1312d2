"""Which tensor of a file is which op of the network, told by the values.

Converters rename, fuse, split and transpose. So both are run on one input, and a tensor of the file
belongs to the op whose output holds the same values, element by element, in the same order or in
channels-last order, whatever the shape. Where several ops hold equal values (a view of a tensor,
say), the tensors of the file take them in the order of computation; a tensor that bears an op's own
name takes that one. When more tensors than ops hold the same values, the last op takes the rest:
they are copies of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

Array = NDArray[np.generic]

# Ops that read a part of what they take.
_PARTS = frozenset({"getitem", "slice", "select", "narrow", "index", "index_select", "gather"})


@dataclass(frozen=True)
class Value:
    """What an op computed.

    Attributes:
        op: the op's name.
        flat: its values in order.
        channels_last: the same in channels-last order, None for what is no map.
        moments: mean, standard deviation and largest magnitude, equal in any order.
    """

    op: str
    flat: NDArray[np.float32]
    channels_last: NDArray[np.float32] | None
    moments: tuple[float, float, float]


def canonical_values(program: ExportedProgram, inputs: Sequence[torch.Tensor]) -> tuple[Value, ...]:
    """Run the canonical graph and return what each op computed, in order of computation."""
    recorder = _Recorder(program.module())
    with torch.no_grad():
        recorder.run(*inputs)
    return tuple(recorder.values)


def align(
    values: Iterable[Value], tensors: Iterable[tuple[str, Array]], tolerance: float
) -> dict[str, str]:
    """Return tensor name -> op name, for every tensor that holds the values of an op.

    Args:
        values: what each op computed.
        tensors: name and value of the file's tensors, in order of computation.
        tolerance: largest difference, as a share of the op's largest magnitude.
    """
    by_size: dict[int, list[Value]] = defaultdict(list)
    for value in values:
        by_size[value.flat.size].append(value)
    ties: dict[str, str] = {}
    taken: set[str] = set()
    for name, array in tensors:
        equal = [value.op for value in by_size[array.size] if _holds(value, array, tolerance)]
        if not equal:
            continue
        free = [op for op in equal if op not in taken]
        op = name if name in equal else free[0] if free else equal[-1]
        ties[name] = op
        taken.add(op)
    return ties


def first_divergence(program: ExportedProgram, values: Iterable[Value], tied: Iterable[str]) -> str:
    """Return the first op that a file computes wrongly, "" when the ties do not tell.

    An op that is fused into a later one is not tied either, but that later one is; and a view that
    a converter left out holds the values of an op that is tied. So it is the first op of which
    neither it, nor an equal of it, nor what is computed from it is tied.

    Args:
        program: the canonical graph.
        values: what each op computed.
        tied: ops whose values the file holds.
    """
    right = _with_equals(values, set(tied))
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    for node in reversed(nodes):
        if _is_proven(node, right):
            right.add(node.name)
    for node in nodes:
        if node.name not in right:
            return f"{node.name} (module '{_module(node)}')"
    return ""


def _is_proven(node: Node, right: set[str]) -> bool:
    """Return whether the ops that take this one's result could not be right if it were wrong.

    One that takes a part of it proves that part only, so all parts must be right.
    """
    takers = [user for user in node.users if user.name in right]
    if takers and len(takers) == len(node.users):
        return True
    return any(getattr(user.target, "__name__", "").split(".")[0] not in _PARTS for user in takers)


def _with_equals(values: Iterable[Value], ops: set[str]) -> set[str]:
    """Return these ops and all that computed the very same values in the same order."""
    ops_of = defaultdict(set)
    for value in values:
        ops_of[value.flat.tobytes()].add(value.op)
    return ops.union(*(equals for equals in ops_of.values() if equals & ops))


class _Recorder(Interpreter):
    """Runs a graph and keeps the tensor that each op computed."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__(module)
        self.values: list[Value] = []

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        if n.op == "call_function" and isinstance(result, torch.Tensor):
            self.values.append(_value(n.name, result))
        return result


def _module(node: Node) -> str:
    stack: Mapping[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    return [path for path, _ in stack.values()][-1] if stack else ""


def _value(op: str, tensor: torch.Tensor) -> Value:
    array = tensor.detach().float().numpy()
    last = np.moveaxis(array, 1, -1).ravel() if array.ndim >= 3 else None
    return Value(op=op, flat=array.ravel(), channels_last=last, moments=_moments(array))


def _moments(array: Array) -> tuple[float, float, float]:
    wide = array.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        # What is not finite has moments that equal nothing.
        peak = float(np.max(np.abs(wide), initial=0.0))
        return float(wide.mean()), float(wide.std()), peak


def _holds(value: Value, array: Array, tolerance: float) -> bool:
    allowed = tolerance * value.moments[2]
    if any(not abs(a - b) <= allowed for a, b in zip(_moments(array), value.moments, strict=True)):
        return False
    flat = np.asarray(array, dtype=np.float32).ravel()
    return any(
        bool(np.max(np.abs(flat - order), initial=0.0) <= allowed) for order in _orders(value)
    )


def _orders(value: Value) -> Iterator[NDArray[np.float32]]:
    yield value.flat
    if value.channels_last is not None:
        yield value.channels_last
