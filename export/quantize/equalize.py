"""Cross-layer equalization: channels of a weight brought to like ranges, at no change in floats.

A weight with one scale for all its channels leaves few integers to a channel whose values are
small beside another's. Where two layers follow one another with nothing between them but f with
f(s x) = s f(x) for s > 0, channel i may be divided by s_i in the first and multiplied by it in the
second. With r1_i and r2_i for the channel's ranges in the two, the best choice is
s_i = sqrt(r1_i r2_i) / r2_i: then both have the range sqrt(r1_i r2_i). This is section 4.1 of
Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
https://arxiv.org/abs/1906.04721.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from groundspeed.export.affine import Affine, Linearity
from groundspeed.export.graph import call, calls, remove_unused, replace
from groundspeed.export.quantize.links import Link, link
from groundspeed.export.weighted import (
    WEIGHTED,
    NotExact,
    Skipped,
    linearity,
    set_linearity,
    title,
)

aten = torch.ops.aten

# Layers in a row are equalized pair by pair until no scale is farther than this from 1. It is
# Osborne's balancing of a matrix in the maximum norm, which converges, if slowly: what is left
# after so many rounds is a little unevenness, and no error.
TOLERANCE = 1e-3
ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two layers that were equalized.

    Evenness is what the paper maximizes: the mean over channels of r1_i r2_i, with each range as
    a part of its layer's largest. It is 1 where all channels use all integers. Channels that are
    zero in either layer do not count.

    Attributes:
        first: path of the first layer in the user's network.
        second: path of the layer that reads it.
        evenness_before: of the layers as they came.
        evenness_after: of what they became.
    """

    first: str
    second: str
    evenness_before: float
    evenness_after: float


@dataclass(frozen=True, kw_only=True)
class Equalized:
    """What :func:`equalize` did.

    Attributes:
        pairs: the layers that were equalized, in order of computation.
        skipped: the layers whose channels could not be scaled.
        replaced: ReLU6 that became ReLU, by the ops' names: the network is not the same.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[Skipped, ...]
    replaced: tuple[str, ...] = ()

    @property
    def gain(self) -> float:
        """How many times more even the ranges are, the geometric mean over pairs; 1 if none."""
        if not self.pairs:
            return 1.0
        gains = [math.log(pair.evenness_after / pair.evenness_before) for pair in self.pairs]
        return math.exp(sum(gains) / len(gains))


def equalize(graph_module: GraphModule, *, replace_relu6: bool = False) -> Equalized:
    """Equalize every two layers of the folded graph that follow one another, in place.

    What the network computes stays the same but for rounding, unless a ReLU6 is replaced.

    Args:
        graph_module: the network; tensors are not overwritten, but exchanged.
        replace_relu6: take ReLU for ReLU6 between two layers, as the paper does. This is not
            exact: values above 6 are no longer clipped. The caller has to measure the error.
    """
    links: list[Link] = []
    skipped: list[Skipped] = []
    for node in calls(graph_module, *WEIGHTED):
        try:
            links.append(link(graph_module, node, replace_relu6=replace_relu6))
        except NotExact as reason:
            skipped.append(Skipped(title(node), str(reason)))
    if not links:
        return Equalized(pairs=(), skipped=tuple(skipped))

    layers = {
        node: _in_dtype(linearity(graph_module, node), torch.float64)
        for each in links
        for node in (each.first, each.second)
    }
    before = [_evenness(each, layers) for each in links]
    _balance(links, layers)
    after = [_evenness(each, layers) for each in links]
    for node, layer in layers.items():
        set_linearity(graph_module, node, _in_dtype(layer, node.meta["val"].dtype))
    clips = [clip for each in links for clip in each.clips]
    replaced = tuple(clip.name for clip in clips)
    _unclip(graph_module, clips)
    remove_unused(graph_module)
    pairs = tuple(
        Pair(
            first=title(each.first),
            second=title(each.second),
            evenness_before=old,
            evenness_after=new,
        )
        for each, old, new in zip(links, before, after, strict=True)
    )
    return Equalized(pairs=pairs, skipped=tuple(skipped), replaced=replaced)


def _unclip(graph_module: GraphModule, clips: Sequence[Node]) -> None:
    for clip in clips:
        with graph_module.graph.inserting_before(clip):
            replace(clip, call(graph_module, aten.relu.default, [clip.args[0]], clip))


def _balance(links: Sequence[Link], layers: dict[Node, Linearity]) -> None:
    """Scale the layers of each link until none of them changes any more."""
    for _ in range(ROUNDS):
        farthest = 0.0
        for each in links:
            scale = _scale(*_peaks(each, layers))
            first = layers[each.first]
            scaled = first.then(Affine(1 / scale, torch.zeros_like(scale)))
            if first.bias is None:
                scaled = dataclasses.replace(scaled, bias=None)
            layers[each.first] = scaled
            layers[each.second] = layers[each.second].after(Affine(scale, torch.zeros_like(scale)))
            farthest = max(farthest, float(scale.log().abs().max()))
        if farthest < TOLERANCE:
            return


def _peaks(pair: Link, layers: dict[Node, Linearity]) -> tuple[Tensor, Tensor]:
    """Return the largest weight of each channel between two layers, in the first and the second."""
    first = layers[pair.first].output_peaks()
    # A linear layer has many columns for each channel of a flattened feature map.
    second = layers[pair.second].input_peaks().view(len(first), -1).amax(1)
    return first, second


def _scale(first: Tensor, second: Tensor) -> Tensor:
    """Return what to divide each channel of the first layer by; 1 for channels of zeros."""
    alive = (first > 0) & (second > 0)
    return torch.where(alive, first / second, 1.0).sqrt()


def _evenness(pair: Link, layers: dict[Node, Linearity]) -> float:
    first, second = _peaks(pair, layers)
    products = first * second
    alive = products > 0
    if not alive.any():
        return 1.0
    return float(products[alive].mean() / (first.max() * second.max()))


def _in_dtype(layer: Linearity, dtype: torch.dtype) -> Linearity:
    bias = None if layer.bias is None else layer.bias.to(dtype)
    return dataclasses.replace(layer, weight=layer.weight.to(dtype), bias=bias)
