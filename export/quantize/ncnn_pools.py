"""Maximum pooling between convolutions in integers, with all 8 bits behind it.

ncnn pools in floating point, and the convolutions behind it round what they take by themselves, at
which half of the integers is lost on a ReLU's values (see ncnn_grids). One more layer mirrors what
was pooled, x -> centre - x, as the convolution before the pooling cannot: the largest of
mirrored values is not the mirror of the largest. It passes over the few values that pooling left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from groundspeed.export.quantize.ncnn_grids import Grid
from groundspeed.runtimes.ncnn_bin import Blobs
from groundspeed.runtimes.ncnn_param import Layer

# What a mirrored blob is called after the one that it mirrors.
MIRRORED = "_mirrored"
_POOLING_TYPE, _MAXIMUM = 0, 0
_CONSTANT_MINUS = ("0=7", "1=1")


def is_maximum(layer: Layer) -> bool:
    """Return whether a layer is maximum pooling."""
    return layer.type == "Pooling" and layer.integer(_POOLING_TYPE) == _MAXIMUM


def with_mirrors(
    network: Iterable[tuple[Layer, Blobs]], grids: Mapping[str, Grid]
) -> Iterator[tuple[Layer, Blobs]]:
    """Yield a network's layers, with one more after each of some that mirrors what it gives.

    Copies of a mirrored blob get names of their own too, so that no name changes its meaning.

    Args:
        network: the layers, each with its weights.
        grids: layer -> what the integers stand for that its takers round the mirrored values to.
    """
    mirrored: dict[str, str] = {}
    for layer, blobs in network:
        bottoms = tuple(mirrored.get(bottom, bottom) for bottom in layer.bottoms)
        if layer.type == "Split" and bottoms != layer.bottoms:
            mirrored |= {top: top + MIRRORED for top in layer.tops}
        tops = tuple(mirrored.get(top, top) for top in layer.tops)
        yield dataclasses.replace(layer, bottoms=bottoms, tops=tops), blobs
        if layer.name in grids:
            (top,) = layer.tops
            mirrored[top] = top + MIRRORED
            minus = (*_CONSTANT_MINUS, f"2={grids[layer.name].centre:.8e}")
            yield Layer("BinaryOp", mirrored[top], (top,), (mirrored[top],), minus), ()
