"""What each op of a network costs on paper.

There is no one definition; this is the rule here, for one run of the graph at its own input shapes.

*Multiply-accumulates* (MACs) are counted for convolutions, transposed convolutions, linear layers
and matrix products: exactly half of what ``torch.utils.flop_counter`` gives (which on a CPU misses
attention). A bias is not counted; positions in the padding are. Papers on small networks call this
number FLOPs.

*FLOPs* are two for each MAC (so the 2n - 1 operations of a dot product count as 2n), and for other
ops a number per element from the table of :mod:`groundspeed.models.rules`: 1 for ReLU or an
addition, 4 for a sigmoid (negate, exponential, add, divide), 2 for an unfolded batch normalization
(one multiply, one add), the window's size for pooling, nothing for moving data.

*Memory access cost* is every byte of the inputs, weights and output of an op, each once: what a
device would move that keeps nothing in its caches between ops, and fuses nothing. Tensors are taken
to lie dense in memory, in the order of their dimensions, so

* an op that only renames dimensions or passes its input on (view, squeeze, contiguous, dropout)
  moves nothing;
* an op that reorders, selects or joins (transpose, slice, cat) reads what it keeps and writes it.
  A channel shuffle, which is view, transpose, contiguous, view, so costs twice its tensor.

An op that the table does not know gets its memory access cost, no MACs and no FLOPs, and is named
by :func:`uncounted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch.export import ExportedProgram

from groundspeed.models.calls import Call
from groundspeed.models.provenance import module_of, source_line
from groundspeed.models.rules import UNKNOWN, rule_for
from groundspeed.ops import Op


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over all ops.

    Attributes:
        parameters: learned values that the ops read; one that two ops share counts for both.
        macs, flops, memory_bytes: as on :class:`~groundspeed.ops.Op`.
    """

    parameters: int
    macs: int
    flops: int
    memory_bytes: int


def analyze(program: ExportedProgram) -> tuple[Op, ...]:
    """Return the ops of a network in order of computation: one for each node that gives a tensor.

    An op that gives several tensors (chunk, split) is followed by one for each that is used, so
    that every tensor of the graph is the output of the op of its name.

    Args:
        program: a graph of ``aten`` ops, with or without batch normalizations.

    Raises:
        SourceError: a size is known only when the graph runs.
    """
    return tuple(_op(program, call) for call in _calls(program))


def totals(ops: Iterable[Op]) -> Totals:
    """Return the sums over ``ops``."""
    ops = tuple(ops)
    return Totals(
        parameters=sum(op.parameters for op in ops),
        macs=sum(op.macs for op in ops),
        flops=sum(op.flops for op in ops),
        memory_bytes=sum(op.memory_bytes for op in ops),
    )


def uncounted(program: ExportedProgram) -> dict[str, tuple[str, ...]]:
    """Return the ops that no rule covers: what PyTorch calls them -> their names in the graph."""
    found: dict[str, tuple[str, ...]] = {}
    for call in _calls(program):
        if rule_for(call) is UNKNOWN:
            target = str(call.node.target)
            found[target] = (*found.get(target, ()), call.node.name)
    return found


def _calls(program: ExportedProgram) -> Iterator[Call]:
    for node in program.graph.nodes:
        if node.op == "call_function":
            call = Call(node)
            if call.outputs:  # else arithmetic on sizes, or an assertion: no work on data
                yield call


def _op(program: ExportedProgram, call: Call) -> Op:
    rule = rule_for(call)
    macs = rule.macs(call)
    learned = program.graph_signature.inputs_to_parameters
    return Op(
        name=call.node.name,
        kind=rule.kind_of(call),
        module=module_of(call.node, program.graph_signature),
        line=source_line(call.node),
        output_shape=call.output.shape,
        parameters=sum(tensor.elements for tensor in call.inputs if tensor.name in learned),
        macs=macs,
        flops=2 * macs + rule.flops(call),
        memory_bytes=rule.memory_bytes(call),
        inputs=tuple(
            node.name
            for node in call.node.all_input_nodes
            if node.op == "call_function" and Call(node).outputs
        ),
    )
