"""What a cost model looks at in an op: its sort, what surrounds it, and how large it is."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundspeed.ops import Op, OpKind

# An op of twice the size is nearer than one of the same size that fits vectors otherwise.
_APART = 2.0
IMAGE_CHANNELS = 3  # of what a network reads, which no op says
VALUE_BYTES = 4  # canonical graphs are in float32, whatever precision is written from them


@dataclass(frozen=True)
class Described:
    """An op as a cost model sees it.

    Attributes:
        word: what it is, in its own word: "element-wise add".
        kind: the same in the vocabulary's.
        before, after: kinds of the ops that it reads and that read it. Runtimes fuse by what stands
            beside an op, so that belongs to it.
        size: how large it is in several respects, on scales where a step of 1 matters.
        weights: logarithm of the whole network's parameters, for an op that has some: weights that
            do not stay in a cache from one inference to the next are read anew.
        flops, bytes: arithmetic and memory access cost on paper.
        fits: whether its channels fill vectors of eight.
    """

    word: str
    kind: str
    before: str
    after: str
    size: NDArray[np.float64]
    weights: float
    flops: float
    bytes: float
    fits: bool

    @property
    def shape(self) -> Hashable:
        """What ops share that differ at most in what surrounds them."""
        return self.word, tuple(self.size.round(6))


def described(ops: Sequence[Op]) -> list[Described]:
    """Return the ops of a network as a cost model sees them, in order."""
    by_name = {op.name: op for op in ops}
    readers: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        for name in op.inputs:
            readers[name].append(op)
    parameters = sum(op.parameters for op in ops)
    return [
        _described(
            op,
            [by_name[name] for name in op.inputs if name in by_name],
            readers[op.name],
            parameters,
        )
        for op in ops
    ]


def _described(op: Op, inputs: Sequence[Op], readers: Sequence[Op], parameters: int) -> Described:
    return Described(
        word=f"{op.kind} {_word(op)}",
        kind=str(op.kind),
        before="+".join(sorted(str(each.kind) for each in inputs)) or "input",
        after="+".join(sorted({str(each.kind) for each in readers})) or "output",
        size=_size(op, inputs),
        weights=math.log2(1 + parameters) if op.parameters else 0.0,
        flops=float(op.flops),
        # A view costs nothing on paper; a runtime whose layout it does not fit copies the map.
        bytes=float(op.memory_bytes or 2 * VALUE_BYTES * math.prod(op.output_shape)),
        fits=_channels(op) % 8 == 0,
    )


def _word(op: Op) -> str:
    """Return the name of the op itself: "relu" for the node "relu_12"."""
    return re.sub(r"(_default)?(_\d+)*$", "", op.name)


def _size(op: Op, inputs: Sequence[Op]) -> NDArray[np.float64]:
    written = math.prod(op.output_shape)
    read = max(0, op.memory_bytes // VALUE_BYTES - op.parameters - written)
    channels = _channels(op)
    # Values that each output is summed over: channels in a group times the kernel's positions.
    inner = op.macs // written if op.macs and written else 0
    return np.array(
        [
            math.log2(1 + op.macs) / 2,
            math.log2(1 + read),
            math.log2(1 + written),
            math.log2(1 + op.parameters) / 2,
            math.log2(1 + channels),
            math.log2(1 + inner),
            *_fit(channels),
            *_fit(math.gcd(*map(_channels, inputs)) if inputs else IMAGE_CHANNELS),
            *_fit(_in_a_group(op, inputs)),
            _APART * _is_padded(op, _side(read, inputs)),
            _APART * _is_dealt(op, inputs),
        ]
    )


def _channels(op: Op) -> int:
    # Five dimensions: a map whose channels are dealt into groups for a shuffle.
    channels = op.output_shape[1:3] if len(op.output_shape) == 5 else op.output_shape[1:2]
    return math.prod(channels or op.output_shape)


def _in_a_group(op: Op, inputs: Sequence[Op]) -> int:
    """Return a number that the channels of each group are multiples of, at either end."""
    whole = math.gcd(*map(_channels, inputs))
    if op.kind is not OpKind.GROUP or not whole or not op.macs:
        return 0
    read = op.macs // math.prod(op.output_shape)
    return math.gcd(read, _channels(op) * read // whole)


def _side(read: int, inputs: Sequence[Op]) -> int:
    """Return the width of the map that an op reads; 0 for what is no map."""
    if not inputs:
        return math.isqrt(read // IMAGE_CHANNELS)
    return inputs[0].output_shape[-1] if len(inputs[0].output_shape) == 4 else 0


def _is_padded(op: Op, side: int) -> bool:
    """Return whether a window that makes maps smaller must reach over their edge."""
    if len(op.output_shape) != 4 or side <= op.output_shape[-1]:
        return False
    stride = round(side / op.output_shape[-1])
    return side <= stride * op.output_shape[-1]


def _is_dealt(op: Op, inputs: Sequence[Op]) -> bool:
    """Return whether channels are dealt into groups there, or back: one group moves nothing."""
    shapes = [op.output_shape, *(each.output_shape for each in inputs)]
    return any(len(shape) == 5 and min(shape[1:3]) > 1 for shape in shapes)


def _fit(count: int) -> tuple[float, ...]:
    """Return how a number fits vectors of 16, of 8 and of 4; 0 is none, and fits nothing."""
    return tuple(_APART * (count % lanes == 0 < count) for lanes in (16, 8, 4))
