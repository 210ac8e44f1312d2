"""Convolutions whose numbers of channels do not fill the vectors that a runtime computes with.

All three runtimes compute eight channels at a time where vectors hold eight numbers (AVX2; two
vectors of four on Arm; half a vector of AVX-512):

* ncnn packs eight channels, else four, else computes them one by one. A depthwise convolution of
  58 channels takes 4.7 times as long as one of 64 there.
* ONNX Runtime keeps channels in blocks of eight, or of sixteen with AVX-512. It fills up a last
  block, but leaves a convolution in its slower plain layout if the channels that it reads are not a
  multiple of four.
* XNNPACK fills up its tiles, or masks what is beyond.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from groundspeed.deploy.feedback.convolutions import (
    Chain,
    Convolution,
    apart,
    convolutions,
    drift,
    there_and_back,
)
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.rates import saved, typical
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import Op, OpKind

WIDTH = 8  # channels
PAIRS = 2  # of layers, there and back, that are measured apart for each


def rounded(one: Convolution) -> Convolution:
    """Return a convolution with its channels rounded up to whole vectors.

    The few channels of an image stay as they are: runtimes have kernels of their own for them.
    """
    inputs, outputs = (_up(width // one.groups) * one.groups for width in (one.inputs, one.outputs))
    if one.groups == one.inputs:  # depthwise: each channel is a group
        outputs = _up(one.inputs) * (one.outputs // one.inputs)
        inputs = groups = _up(one.inputs)
        return replace(one, inputs=inputs, outputs=outputs, groups=groups)
    return replace(one, inputs=one.inputs if one.inputs < WIDTH else inputs, outputs=outputs)


def _up(channels: int) -> int:
    return math.ceil(channels / WIDTH) * WIDTH


@dataclass(frozen=True)
class _Sort:
    """Convolutions that should be about equally fast: only these are compared."""

    kind: OpKind
    kernel: tuple[int, int]
    stride: tuple[int, ...]


def _find(scene: Scene) -> Iterator[Sighting]:
    rates: dict[_Sort, list[tuple[float | None, float]]] = {}
    odd: list[tuple[Op, Convolution, int]] = []
    for op, one in convolutions(scene):
        position = scene.owner(op.name)
        if position is None:
            continue
        if rounded(one) != one:
            odd.append((op, one, position))
        else:
            row = scene.executed[position]
            rates.setdefault(_sort(scene, op, one), []).append((row.flops_per_s, row.time.ns))
    for op, one, position in odd:
        aligned = typical(rates.get(_sort(scene, op, one), ()))
        more = rounded(one).macs / one.macs
        share = saved(scene.executed[position].flops_per_s, aligned, more)
        what = f"{one.inputs} → {one.outputs} channels, not multiples of {WIDTH}"
        yield Sighting(
            place=Place(module=op.module, line=op.line, ops=(op.name,), what=what),
            # With nothing to compare with, the places in the vectors that stay empty.
            charges={position: 1.0 - 1.0 / more if share is None else share},
        )


def _sort(scene: Scene, op: Op, one: Convolution) -> _Sort:
    return _Sort(op.kind, one.kernel, tuple(scene.call(op.name).arguments["stride"]))


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    shapes = {op.name: one for op, one in convolutions(scene)}
    found = [shapes[op] for sighting in sightings for op in sighting.place.ops]
    before = [_pairs(one) for one in found]
    after = [_pairs(rounded(one)) for one in found]
    return Change(
        what=f"channels rounded up to multiples of {WIDTH}, apart ({drift(before, after)})",
        before=apart(before),
        after=apart(after),
        times=2 * PAIRS,
    )


def _pairs(one: Convolution) -> Chain:
    return there_and_back(one, (one.inputs, one.outputs), groups=one.groups, times=PAIRS)


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return (
        f"choose numbers of channels that are multiples of {WIDTH} (in each group, for group "
        "convolutions), up rather than down: the added channels are nearly free"
    )


PATTERN = Pattern(
    name="channel alignment",
    guideline="",
    reason="What does not fill a vector is computed one by one, or beside empty places.",
    source="ncnn, element packing, https://github.com/Tencent/ncnn/wiki/element-packing",
    example="nn.Conv2d(58, 58, 3, padding=1, groups=58)",
    find=_find,
    change=_change,
    advice=_advice,
)
