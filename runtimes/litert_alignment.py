"""Which operator of the file stands behind each thing that LiteRT executed.

LiteRT's own kernels tell the index of their operator. XNNPACK numbers its own graph, in which
operators are fused, split or dropped, but it keeps their order: so its events are laid beside the
operators that are left, at the least cost, as two spellings of one text are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from groundspeed.measurement import ProfiledOp
from groundspeed.runtimes.litert_graph import Node

# What XNNPACK calls an operator, where it is not the operator's own name.
_NAMES = {
    "AVERAGE_POOL_2D": r"Average Pooling",
    "BATCH_MATMUL": r"Batch Matrix Multiply",
    "CAST": r"Convert",
    "CEIL": r"Ceiling",
    "CONCATENATION": r"Copy|Concat",
    "CONV_2D": r"Convolution|Fully Connected",
    "COS": r"Cosine",
    "DEPTHWISE_CONV_2D": r"Convolution",
    "DEQUANTIZE": r"Convert|Copy",
    "DIV": r"Divide",
    "EXPAND_DIMS": r"Static Reshape|Copy",
    "LOGISTIC": r"Sigmoid",
    "MAXIMUM": r"Maximum|Clamp",
    "MAX_POOL_2D": r"Max Pooling",
    "MEAN": r"Mean|Global Average",
    "MINIMUM": r"Minimum|Clamp",
    # The product of a value and its own sigmoid, in integers, has no name.
    "MUL": r"Multiply|Square \(|Invalid Unary Op",
    "NEG": r"Negate",
    "PAD": r"Constant Pad|Copy",
    "PADV2": r"Constant Pad|Copy",
    "QUANTIZE": r"Convert|Copy",
    "RELU": r"Clamp",
    "RELU6": r"Clamp",
    "RELU_0_TO_1": r"Clamp",
    "RELU_N1_TO_1": r"Clamp",
    "RESHAPE": r"Static Reshape|Copy",
    "ROUND": r"Bankers Rounding",
    "RSQRT": r"Reciprocal Square Root",
    "SIN": r"Sine",
    "SPLIT": r"Slice|Split",
    "SQRT": r"Square Root",
    "SQUEEZE": r"Static Reshape|Copy",
    "STRIDED_SLICE": r"Slice",
    "SUB": r"Subtract",
    "TRANSPOSE": r"Transpose|Copy",
    "TRANSPOSE_CONV": r"Deconvolution",
}
# What one operator may be followed by: its fused activation, or copies of its other inputs.
_MORE = re.compile(r"Clamp|Convert|Copy")
_MOST = 4
# Operators that XNNPACK makes part of the operator before them, or after them.
_INTO_PREVIOUS = {"MAXIMUM", "MINIMUM", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"}
_INTO_NEXT = {"DEQUANTIZE", "PAD", "PADV2"}

# Costs: only their order matters. A usual fusion is likelier than a second event, that than an
# operator that left no trace, and that than an event out of nowhere.
_USUAL_FUSION, _SECOND_EVENT, _NO_TRACE, _OUT_OF_NOWHERE = 1, 2, 4, 5


@dataclass(frozen=True, kw_only=True)
class Executed:
    """One thing that LiteRT executed.

    Attributes:
        name: the profiler's name for it ("PADV2", "Convolution (NHWC, F32) IGEMM").
        node: index of the file's operator, where LiteRT's own kernel computed it; None where
            XNNPACK did, which keeps the order but not the index, and for LiteRT's own stages.
        stage: whether it belongs to a run of LiteRT and not to any operator.
    """

    name: str
    node: int | None = None
    stage: bool = False


def align(nodes: Sequence[Node], executed: Sequence[Executed]) -> tuple[ProfiledOp, ...]:
    """Return what was executed, each with the tensors of the operator behind it.

    Operators that were fused into another have no entry. What no operator of the file fits is
    marked as inserted.

    Args:
        nodes: the operators of the file, in its order.
        executed: what ran, in order of execution.
    """
    owners = {index: event.node for index, event in enumerate(executed) if event.node is not None}
    exact = set(owners.values())
    left = [index for index in range(len(nodes)) if index not in exact]
    delegated = [
        index for index, event in enumerate(executed) if index not in owners and not event.stage
    ]
    pairs = _pairs([nodes[index].op for index in left], [executed[i].name for i in delegated])
    owners |= {delegated[event]: left[node] for node, event in pairs}
    traced = set(owners.values())
    flow = _reads(nodes, owners)
    return tuple(
        _profiled(event.name, owners[index], nodes, traced, flow[index])
        if index in owners
        else ProfiledOp(name=event.name, type=event.name, inserted=True, stage=event.stage)
        for index, event in enumerate(executed)
    )


def _reads(nodes: Sequence[Node], owners: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """Return for each event the events whose results it reads.

    What an operator without an event of its own computes comes from whatever computed its inputs.
    Of several events of one operator, each reads what the one before computed.

    Args:
        nodes: the operators of the file, in its order.
        owners: event -> operator.
    """
    events: dict[int, list[int]] = defaultdict(list)
    for event in sorted(owners):
        events[owners[event]].append(event)
    makers: dict[str, frozenset[int]] = {}
    found = {}
    for index, node in enumerate(nodes):
        sources = frozenset[int]().union(*(makers.get(name, ()) for name in node.inputs))
        for event in events[index]:
            found[event] = tuple(sorted(source for source in sources if source < event))
            sources = frozenset({event})
        makers |= dict.fromkeys(node.outputs, sources)
    return found


def _profiled(
    name: str, owner: int, nodes: Sequence[Node], traced: set[int], reads: tuple[int, ...]
) -> ProfiledOp:
    last = nodes[owner]
    for index in range(owner + 1, len(nodes)):
        node = nodes[index]
        if index not in traced and node.op in _INTO_PREVIOUS and set(node.inputs) & {*last.outputs}:
            last = node
    own = f"{nodes[owner].op} {owner}"
    return ProfiledOp(name=own, type=name, outputs=last.outputs, reads=reads)


def _pairs(ops: Sequence[str], events: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield (operator, event) index pairs of the cheapest alignment that keeps both orders."""
    takes = _cheapest(ops, events)
    node = event = 0
    while node < len(ops) or event < len(events):
        take = takes[node][event]
        if take is None:
            event += 1
            continue
        for _ in range(take):
            yield node, event
            event += 1
        node += 1


def _cheapest(ops: Sequence[str], events: Sequence[str]) -> list[list[int | None]]:
    """Return how many events an operator takes at each pair of positions.

    None stands for an event that is left to nobody there. Filled from the end, so that it can be
    read from the start.
    """
    size, count = len(ops), len(events)
    costs = [[0] * (count + 1) for _ in range(size + 1)]
    takes: list[list[int | None]] = [[None] * (count + 1) for _ in range(size + 1)]
    costs[size] = [(count - event) * _OUT_OF_NOWHERE for event in range(count + 1)]
    for node in reversed(range(size)):
        fused = ops[node] in _INTO_PREVIOUS | _INTO_NEXT
        absence = _USUAL_FUSION if fused else _NO_TRACE
        for event in reversed(range(count + 1)):
            choices: list[tuple[int, int | None]] = []
            for taken in range(1, _fitting(ops[node], events[event : event + _MOST]) + 1):
                more = (taken - 1) * _SECOND_EVENT
                choices.append((costs[node + 1][event + taken] + more, taken))
            # After the takes: of a fused chain that costs the same, the first operator shall have
            # the event, and the rest are found as fused into it.
            choices.append((costs[node + 1][event] + absence, 0))
            if event < count:
                choices.append((costs[node][event + 1] + _OUT_OF_NOWHERE, None))
            costs[node][event], takes[node][event] = min(choices, key=lambda choice: choice[0])
    return takes


def _fitting(op: str, events: Sequence[str]) -> int:
    """Return how many of the next events the operator could take at most."""
    if not events or not fits(op, events[0]):
        return 0
    return next(
        (taken for taken, event in enumerate(events) if taken and not _MORE.match(event)),
        len(events),
    )


def fits(op: str, event: str) -> bool:
    """Return whether an operator of the file can have left an event of this name."""
    if op in _NAMES:
        return re.match(_NAMES[op], event) is not None
    return re.sub(r"\W|_", "", event).lower().startswith(op.replace("_", "").lower())
