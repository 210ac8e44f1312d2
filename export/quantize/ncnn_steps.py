"""What the layers of an ncnn network that compute in integers take and hand on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from groundspeed.export.quantize.ncnn_blobs import Blobs
from groundspeed.export.quantize.ncnn_grids import Grid, mirrored
from groundspeed.export.quantize.ncnn_pools import is_maximum
from groundspeed.export.quantize.ncnn_weights import in_integers
from groundspeed.export.quantize.ncnn_winograd import needs_positive
from groundspeed.runtimes import ncnn_bin
from groundspeed.runtimes.ncnn_bin import CHAINED
from groundspeed.runtimes.ncnn_param import Layer


@dataclass(frozen=True)
class Steps:
    """What a layer's integers stand for.

    Attributes:
        input: of what it takes.
        output: of the integers that it hands on; None when it gives float32.
        is_taken: whether layers in integers take them; otherwise they are made real again.
    """

    input: Grid
    output: Grid | None
    is_taken: bool


def integer_takers(takers: Sequence[Layer | None], steps: Mapping[str, Steps]) -> list[Layer]:
    """Return the layers that take a blob if all are convolutions in integers, otherwise none."""
    found = [taker for taker in takers if taker and taker.type in CHAINED and taker.name in steps]
    return found if len(found) == len(takers) else []


def slowed(
    layers: tuple[Layer, ...],
    weights: tuple[ncnn_bin.Blobs, ...],
    steps: Mapping[str, Steps],
    *,
    per_channel: bool,
) -> set[str]:
    """Return the layers that would lose Winograd's method if they took negative integers."""
    found = set()
    for layer, read in zip(layers, weights, strict=True):
        if layer.name in steps:
            input = steps[layer.name].input
            integers, _ = in_integers(layer, read[0], input, per_channel=per_channel)
            if needs_positive(layer, integers):
                found.add(layer.name)
    return found


def with_all_bits(
    layers: tuple[Layer, ...], blobs: Blobs, steps: Mapping[str, Steps], slow: Collection[str]
) -> tuple[dict[str, Steps], dict[str, Grid]]:
    """Return the steps with integers mirrored wherever both sides can have them so.

    Args:
        layers: the network.
        blobs: the same.
        steps: of the layers in integers, none mirrored.
        slow: layers that would lose Winograd's method if they took negative integers.

    Returns:
        The steps, and pooling layer -> grid, where what was pooled has to be mirrored for them.
    """
    made, pooled = dict(steps), {}
    for layer in layers:
        takers = integer_takers(blobs.takers_of(layer.tops[0]), steps)
        if not takers:
            continue
        each, plain = made.get(layer.name), steps[takers[0].name].input
        pools = is_maximum(layer) and plain.is_positive
        if not pools and (each is None or each.output is None):
            continue
        if plain.is_positive and any(taker.name in slow for taker in takers):
            continue
        grid = mirrored(layer, plain.range, takers)
        if each is not None:
            made[layer.name] = replace(each, output=grid)
        elif grid.zero:
            pooled[layer.name] = grid
        for taker in takers:
            made[taker.name] = replace(made[taker.name], input=grid)
    return made, pooled
