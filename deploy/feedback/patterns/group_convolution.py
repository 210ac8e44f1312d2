"""Group convolutions that are not depthwise.

By equation (2) of the paper, the memory access cost at given MACs grows with the number of groups;
besides, a kernel has less to do for each value that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.convolutions import (
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
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import OpKind

PAIRS = 1  # of layers, there and back, that are measured apart for each
# Widths in another proportion than those of the groups matter a tenth as much as other MACs.
SHAPE = 0.1


def _find(scene: Scene) -> Iterator[Sighting]:
    reference = reference_rate(scene)
    for op, one in convolutions(scene):
        position = scene.owner(op.name)
        if op.kind is OpKind.GROUP and position is not None:
            what = f"{one.inputs} → {one.outputs} channels in {one.groups} groups"
            yield Sighting(
                place=Place(module=op.module, line=op.line, ops=(op.name,), what=what),
                charges={position: excess(scene, position, reference)},
            )


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    shapes = {op.name: one for op, one in convolutions(scene)}
    found = [shapes[op] for sighting in sightings for op in sighting.place.ops]
    before = [
        there_and_back(one, (one.inputs, one.outputs), groups=one.groups, times=PAIRS)
        for one in found
    ]
    after = [there_and_back(one, dense(one), times=PAIRS) for one in found]
    return Change(
        what=f"dense layers with fewer channels, apart ({drift(before, after)})",
        before=apart(before),
        after=apart(after),
        times=2 * PAIRS,
    )


def dense(one: Convolution) -> tuple[int, int]:
    """Return the widths of a dense convolution with about the MACs of a group convolution.

    They are multiples of 8 where its own are: else it would have another fault instead.
    """
    step = 8 if one.inputs % 8 == 0 and one.outputs % 8 == 0 else 1
    wanted = one.inputs * one.outputs / one.groups
    middle = one.inputs / math.sqrt(one.groups)
    widths = [
        (inputs, max(step, step * round(wanted / inputs / step)))
        for inputs in range(step, one.inputs + 1, step)
        if middle / 1.5 <= inputs <= 1.5 * middle or middle < step
    ]

    def unlike(widths: tuple[int, int]) -> float:
        inputs, outputs = widths
        shape = math.log(outputs / inputs * one.inputs / one.outputs)
        return abs(math.log(inputs * outputs / wanted)) + SHAPE * abs(shape)

    return min(widths, key=unlike)


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    groups = sorted({scene.call(op).arguments["groups"] for s in sightings for op in s.place.ops})
    many = ", ".join(map(str, groups))
    return f"use fewer groups than {many}, or dense convolutions with fewer channels"


PATTERN = Pattern(
    name="group convolution",
    guideline="G2",
    reason="At equal MACs, groups need more channels, and so move more memory.",
    source="N. Ma, X. Zhang, H.-T. Zheng, J. Sun, ShuffleNet V2, ECCV 2018, section 2.2 (G2)",
    example="nn.Conv2d(240, 240, 1, groups=3)",
    find=_find,
    change=_change,
    advice=_advice,
)
