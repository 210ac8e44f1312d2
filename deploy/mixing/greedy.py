"""The plain search: the layers that gain, in the order of what they gain for their noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from groundspeed.deploy.mixing.search import Judge
from groundspeed.mixing import LayerGain

SIZES = 6


def greedy(layers: Sequence[LayerGain], judge: Judge, max_drop: float) -> None:
    """Propose nested sets of the layers that gain; see ``Search``.

    A layer's worth is its gain in time over the noise that it alone brings to the outputs. Noise
    of several layers about adds up, so that the first layers by worth are a good set for any
    budget, as in the knapsack problem. Sets are larger and larger, up to SIZES of them; once a set
    loses more than it may, larger ones are left out.
    """
    ordered = sorted(filter(_gains, layers), key=_worth, reverse=True)
    sizes = {math.ceil(len(ordered) * step / SIZES) for step in range(1, SIZES + 1)} - {0}
    for size in sorted(sizes):
        if judge(frozenset(layer.op for layer in ordered[:size])).drop > max_drop:
            break


def _gains(layer: LayerGain) -> bool:
    return layer.gain_ns is not None and layer.gain_ns.value > 0


def _worth(layer: LayerGain) -> float:
    assert layer.gain_ns is not None
    return layer.gain_ns.value / layer.noise if layer.noise else math.inf
