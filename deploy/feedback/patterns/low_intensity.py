"""Layers with weights that move so many bytes for their arithmetic that they wait for memory.

Depthwise convolutions at large maps above all, pointwise ones with very few channels, and linear
layers with one sample at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.convolutions import (
    apart,
    convolutions,
    drift,
    there_and_back,
)
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.group_convolution import dense
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.rates import saved
from groundspeed.deploy.feedback.roofline import roofline
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import OpKind

# The knee of a roofline is where memory and arithmetic take the same time. In profiles of
# ShuffleNetV2 on one core of a desktop processor it lay at 3.6 (LiteRT), 5.3 (ONNX Runtime) and 6.6
# (ncnn) FLOPs for each byte. The bound is fixed, so that what is found does not hang on what was
# timed.
LEAST_FLOPS_PER_BYTE = 5.0
# What fits a first-level cache (32 to 64 KiB) need not wait.
LEAST_BYTES = 64 * 1024
PAIRS = 1  # of layers, there and back, that are measured apart for each


def _find(scene: Scene) -> Iterator[Sighting]:
    roof = roofline(scene.breakdown)
    for op in scene.manifest.ops:
        position = scene.owner(op.name)
        if (
            op.macs
            and position is not None
            and op.intensity < LEAST_FLOPS_PER_BYTE
            and op.memory_bytes >= LEAST_BYTES
        ):
            row = scene.executed[position]
            # The time beyond what its arithmetic takes at the best rate of this run.
            share = saved(row.flops_per_s, roof.peak_flops_per_s if roof else None)
            what = f"{op.kind}, {op.intensity:.2g} FLOPs for each of {op.memory_bytes} bytes"
            yield Sighting(
                place=Place(module=op.module, line=op.line, ops=(op.name,), what=what),
                charges={position: share or 0.0},
            )


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    """Return dense layers with the same arithmetic instead of the depthwise ones.

    Nothing has the arithmetic of a linear layer and reads fewer weights.
    """
    shapes = {op.name: one for op, one in convolutions(scene) if op.kind is OpKind.DEPTHWISE}
    taken = tuple(one for one in sightings if shapes.keys() >= {*one.place.ops})
    if not taken:
        return None
    found = [shapes[op] for sighting in taken for op in sighting.place.ops]
    before = [
        there_and_back(one, (one.inputs, one.outputs), groups=one.groups, times=PAIRS)
        for one in found
    ]
    after = [there_and_back(one, dense(one), times=PAIRS) for one in found]
    return Change(
        what=f"dense layers with few channels, measured apart ({drift(before, after)})",
        before=apart(before),
        after=apart(after),
        taken=taken,
        times=2 * PAIRS,
    )


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    kinds = {scene.ops[op].kind for one in sightings for op in one.place.ops}
    known = {
        OpKind.DEPTHWISE: "use dense convolutions with fewer channels where maps are large",
        OpKind.LINEAR: "give linear layers fewer features, or weights of int8",
        OpKind.POINTWISE: "give pointwise layers more channels and smaller maps",
    }
    asked = [advice for kind, advice in known.items() if kind in kinds]
    return "; ".join(asked) or "do more arithmetic for each value that is read"


PATTERN = Pattern(
    name="low intensity",
    guideline="",
    reason="Arithmetic waits for memory, so its FLOPs on paper say nothing about its time.",
    source="S. Williams, A. Waterman, D. Patterson, Roofline, CACM 52(4), 2009",
    example="nn.Conv2d(64, 64, 3, padding=1, groups=64)  # on 112 x 112 maps",
    find=_find,
    change=_change,
    advice=_advice,
)
