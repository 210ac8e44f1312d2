"""Which operators of a TFLite file compute with integers, and the ranges of its tensors."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from ai_edge_quantizer.default_policy import DEFAULT_CONFIG_CHECK_POLICY
from ai_edge_quantizer.qtyping import TFLOperationName

from groundspeed.export.quantize.tflite_graph import MOVING, Graph, Operator, spread
from groundspeed.quantization import Quantization, Range

# The kinds of operators that ai-edge-quantizer writes with 8-bit activations. A composite is none:
# it is known by its name only, and the graph that it stands for computes with floats.
_KINDS = frozenset(
    kind
    for kind, configs in DEFAULT_CONFIG_CHECK_POLICY.items()
    if any(config.activation_tensor_config is not None for config in configs)
) - {TFLOperationName.STABLEHLO_COMPOSITE}


@dataclass(frozen=True)
class Reason:
    """Why an operator stays in floating point.

    Attributes:
        why: the cause.
        what: the canonical op that the cause is given for, or the operator's kind.
    """

    why: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is to become of a file.

    Attributes:
        integer: the operators that compute with integers.
        kept: those that stay in floating point, and why.
        ranges: tensor -> range; all tensors of the integer operators have one.
    """

    integer: tuple[Operator, ...]
    kept: dict[Operator, Reason]
    ranges: dict[str, Range]

    @property
    def notes(self) -> Iterator[str]:
        """How many operators compute with integers, and why others do not, a sentence each."""
        total = len(self.integer) + len(self.kept)
        yield f"{len(self.integer)} of {total} operators compute with 8-bit integers"
        reasons = sorted(self.kept.values(), key=lambda reason: reason.why)
        for why, group in groupby(reasons, key=lambda reason: reason.why):
            counts = Counter(reason.what for reason in group).items()
            names = (f"{count} {what}" if count > 1 else what for what, count in counts)
            yield f"in floating point, because {why}: {', '.join(names)}"


def choose(graph: Graph, ties: Mapping[str, str], quantization: Quantization) -> Choice:
    """Choose; see ``FileQuantizer.quantize`` for the ties.

    An operator is kept in floating point if what it computes shall be, if it has no integer
    kernel, if a range is missing, or if it only moves values between operators that are kept.
    """
    known = quantization.ranges
    held = spread(graph.operators, _tied_tensors(graph, ties, known))
    ranges = _bounds(graph.operators) | {
        tensor: functools.reduce(Range.joined, (known[op] for op in ops))
        for tensor, ops in held.items()
    }
    kept = {
        operator: reason
        for operator in graph.operators
        if (reason := _reason(operator, ranges, held, quantization.float_ops or {}))
    }
    able = [operator for operator in graph.operators if operator not in kept]
    integer = _connected(able)
    for operator in able:
        if operator not in integer:
            kept[operator] = Reason("it moves what is in floating point", operator.kind)
    return Choice(
        integer=tuple(operator for operator in able if operator in integer),
        kept=kept,
        ranges=ranges,
    )


def _tied_tensors(
    graph: Graph, ties: Mapping[str, str], ranges: Mapping[str, Range]
) -> dict[str, str]:
    """Return tensor -> op with a range; the file's ends may be tied by their names outside."""
    ends = {**graph.inputs, **graph.outputs}
    tied = {tensor: ties[name] for tensor, name in ends.items() if name in ties} | dict(ties)
    return {tensor: op for tensor, op in tied.items() if op in ranges}


def _bounds(operators: Iterable[Operator]) -> dict[str, Range]:
    """Return the ranges of what operators give by what they are."""
    return {
        tensor: operator.bounds
        for operator in operators
        if operator.bounds
        for tensor in operator.outputs
    }


def _reason(
    operator: Operator,
    ranges: Mapping[str, Range],
    held: Mapping[str, frozenset[str]],
    float_ops: Mapping[str, str],
) -> Reason | None:
    ops = frozenset[str]().union(*(held.get(tensor, ()) for tensor in operator.outputs))
    if ops and ops <= float_ops.keys():
        op = min(ops)
        return Reason(float_ops[op], op)
    if operator.known_as not in _KINDS or operator.nested:
        return Reason("there is no integer kernel for it", operator.kind)
    if any(tensor not in ranges for tensor in operator.ends):
        return Reason("a range of what it takes or gives is not known", operator.kind)
    return None


def _connected(operators: Iterable[Operator]) -> set[Operator]:
    """Return the operators that compute, and those that move what these take or give."""
    connected = {operator for operator in operators if operator.kind not in MOVING}
    tensors = {tensor for operator in connected for tensor in operator.ends}
    left = [operator for operator in operators if operator.kind in MOVING]
    while met := [operator for operator in left if not tensors.isdisjoint(operator.ends)]:
        connected.update(met)
        tensors.update(tensor for operator in met for tensor in operator.ends)
        left = [operator for operator in left if operator not in connected]
    return connected
