"""Group convolutions in integers that give float32: ncnn loses their results on x86.

convolutiondepthwise_x86.cpp expects a group's float32 channels in packs of 4, while the convolution
that computes them packs them by 8 where there is AVX, into memory that nobody reads. Integers that
it hands on are packed by 8 on both sides. So such a layer hands on integers even to a layer that
takes none, and two more turn them into real values: Cast, and BinaryOp with the quantization step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from groundspeed.runtimes.ncnn_bin import Blobs
from groundspeed.runtimes.ncnn_param import Layer

# What the blobs of the two are called after the one that the layer gives.
CAST, REAL = "_cast", "_real"
_INT8_TO_FLOAT32 = ("0=3", "1=1")
_TIMES = ("0=2", "1=1")


def is_lost(layer: Layer) -> bool:
    """Return whether ncnn loses what a layer computes in integers and gives in float32."""
    outputs_of_group = layer.integer(0) // layer.integer(7, 1)
    return layer.type == "ConvolutionDepthWise" and outputs_of_group % 8 == 0


def with_real_values(
    network: Iterable[tuple[Layer, Blobs]], steps: Mapping[str, float]
) -> Iterator[tuple[Layer, Blobs]]:
    """Yield a network's layers, with two more after each of some that hand on integers.

    Args:
        network: the layers, each with its weights.
        steps: layer -> the real value of its output's integer 1, for layers whose takers all take
            real values.
    """
    real: dict[str, str] = {}
    for layer, blobs in network:
        bottoms = tuple(real.get(bottom, bottom) for bottom in layer.bottoms)
        yield dataclasses.replace(layer, bottoms=bottoms), blobs
        if layer.name in steps:
            (top,) = layer.tops
            cast, real[top] = top + CAST, top + REAL
            yield Layer("Cast", cast, (top,), (cast,), _INT8_TO_FLOAT32), ()
            times = (*_TIMES, f"2={steps[layer.name]:.8e}")
            yield Layer("BinaryOp", real[top], (cast,), (real[top],), times), ()
