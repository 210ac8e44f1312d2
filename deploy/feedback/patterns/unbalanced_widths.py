"""Pointwise convolutions whose channels in and out differ much.

By equation (1) of the paper, the memory access cost of a 1x1 convolution at given MACs is least
where both widths are equal; how much time a device loses by it is what is measured here. The
profile says it by the bytes that such a layer moves beyond a balanced one, and by what a byte costs
the pointwise convolutions of the same run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from groundspeed.deploy.feedback.convolutions import (
    Chain,
    Convolution,
    apart,
    convolutions,
    drift,
    excess,
    reference_rate,
    there_and_back,
)
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.rates import fitted
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import OpKind

# Table 1 of the paper: 1:2 costs a device 4 to 12 %, 1:6 9 to 41 %. Below 1:4 little can be won.
LEAST_RATIO = 4.0
# At so few positions a layer is a matrix times a vector, bound by its weights alone.
LEAST_POSITIONS = 16
PAIRS = 2  # of layers, there and back, that are measured apart for each
# From fewer layers nobody can tell what bytes cost beside arithmetic.
LAWFUL = 8
FLOAT = 4  # bytes


def _find(scene: Scene) -> Iterator[Sighting]:
    byte_ns, reference = _byte_ns(scene), reference_rate(scene)
    for op, one in convolutions(scene):
        low, high = sorted((one.inputs, one.outputs))
        position = scene.owner(op.name)
        if (
            op.kind is OpKind.POINTWISE
            and position is not None
            and high >= LEAST_RATIO * low
            and math.prod(one.size) * one.batch >= LEAST_POSITIONS
        ):
            share = excess(scene, position, reference)
            if byte_ns is not None and (time := scene.executed[position].time.ns) > 0:
                share = min(1.0, byte_ns * _more_bytes(one) / time)
            what = f"{one.inputs} → {one.outputs} channels, 1:{high / low:.3g}"
            yield Sighting(
                place=Place(module=op.module, line=op.line, ops=(op.name,), what=what),
                charges={position: share},
            )


def _byte_ns(scene: Scene) -> float | None:
    """Return what a byte costs the pointwise convolutions of a run; None where they are few.

    Each takes a fixed time, one for each MAC and one for each byte of its memory access cost.
    """
    terms, times = [], []
    for op, _ in convolutions(scene):
        position = scene.owner(op.name) if op.kind is OpKind.POINTWISE else None
        if position is not None and (time := scene.executed[position].time.ns) > 0:
            terms.append((1.0, op.macs, op.memory_bytes))
            times.append(time)
    return float(fitted(np.array(terms), np.array(times))[2]) if len(times) >= LAWFUL else None


def _more_bytes(one: Convolution) -> int:
    """Return how many bytes of maps it moves beyond a layer of balanced widths, in float."""
    positions = one.batch * math.prod(one.size)
    widths = one.inputs + one.outputs - sum(balanced(one.inputs, one.outputs))
    return FLOAT * positions * widths


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    shapes = {op.name: one for op, one in convolutions(scene)}
    found = [shapes[op] for sighting in sightings for op in sighting.place.ops]
    before = [_pairs(one, (one.inputs, one.outputs)) for one in found]
    after = [_pairs(one, balanced(one.inputs, one.outputs)) for one in found]
    return Change(
        what=f"layers of balanced widths, apart ({drift(before, after)})",
        before=apart(before),
        after=apart(after),
        times=2 * PAIRS,
    )


def _pairs(one: Convolution, widths: tuple[int, int]) -> Chain:
    return there_and_back(one, widths, times=PAIRS)


def balanced(inputs: int, outputs: int) -> tuple[int, int]:
    """Return two nearly equal widths with the product of these, multiples of 8 where these are."""
    step = 8 if inputs % 8 == 0 and outputs % 8 == 0 else 1
    middle = math.sqrt(inputs * outputs)
    near = [
        step * n for n in range(1, math.ceil(2 * middle / step)) if middle / 1.5 < step * n
    ] or [max(step, round(middle))]
    pairs = [(low, high) for low in near for high in near if low <= high <= 1.5 * low]
    return min(pairs, key=lambda pair: (abs(pair[0] * pair[1] - inputs * outputs), pair[1]))


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return (
        "bring the widths on both sides of these layers closer together (a smaller expansion, or "
        "fewer but wider layers) at the same MACs"
    )


PATTERN = Pattern(
    name="unbalanced widths",
    guideline="G1",
    reason="At equal MACs, unequal numbers of channels in and out move more memory.",
    source="N. Ma, X. Zhang, H.-T. Zheng, J. Sun, ShuffleNet V2, ECCV 2018, section 2.2 (G1)",
    example="nn.Conv2d(24, 144, 1)",
    find=_find,
    change=_change,
    advice=_advice,
)
