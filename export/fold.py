"""Batch normalization folded into the weights next to it, on the traced graph.

Where it is exact, the normalization disappears:

    conv, transposed conv or linear -> BN    always, if nothing else reads the unnormalized value
    BN -> conv                               if the conv pads nothing, or the shift is 0
    BN -> (average, flatten) -> linear       always

What stays, stays with a reason: see :mod:`groundspeed.export.affine` for the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from groundspeed.export.affine import Affine, Linearity, is_zero
from groundspeed.export.graph import argument, calls, remove_unused, replace, shape, weight
from groundspeed.export.weighted import (
    FLATTENING,
    LINEAR,
    TRANSPOSED,
    NotExact,
    commutes,
    is_weighted,
    linearity,
    set_linearity,
    title,
)

aten = torch.ops.aten


@dataclass(frozen=True)
class Kept:
    """A batch normalization that was not folded.

    Attributes:
        module: its path in the user's network.
        reason: why, as the end of a sentence that begins with the path.
    """

    module: str
    reason: str


@dataclass(frozen=True)
class Folded:
    """What :func:`fold_batchnorm` did.

    Attributes:
        count: how many batch normalizations disappeared.
        kept: the ones that did not.
    """

    count: int
    kept: tuple[Kept, ...]


def fold_batchnorm(graph_module: GraphModule) -> Folded:
    """Fold every batch normalization of the graph that can be folded exactly, in place.

    No tensor is overwritten: weights that other ops (or the original network) share keep their
    values for them.
    """
    count = 0
    kept = []
    for node in calls(graph_module, aten.batch_norm.default):
        try:
            affine = _affine(graph_module, node)
            if is_weighted(node.args[0]):
                _fold_into_producer(graph_module, node, affine)
            else:
                _fold_into_consumers(graph_module, node, affine)
            count += 1
        except NotExact as reason:
            kept.append(Kept(title(node), str(reason)))
    remove_unused(graph_module)
    return Folded(count, tuple(kept))


def _affine(graph_module: GraphModule, node: Node) -> Affine:
    if argument(node, "training"):
        raise NotExact("normalizes with the statistics of the batch, even in eval mode")
    tensors = {}
    for name in ("weight", "bias", "running_mean", "running_var"):
        source = argument(node, name)
        if source is not None and source.op != "get_attr":
            raise NotExact(f"has a computed {name}")
        tensors[name] = None if source is None else weight(graph_module, source)
    mean, variance = tensors["running_mean"], tensors["running_var"]
    assert mean is not None
    assert variance is not None
    return Affine.of_batchnorm(
        tensors["weight"], tensors["bias"], mean, variance, argument(node, "eps")
    )


def _fold_into_producer(graph_module: GraphModule, node: Node, affine: Affine) -> None:
    producer = node.args[0]
    assert isinstance(producer, Node)
    if len(producer.users) > 1:
        raise NotExact(f"follows {title(producer)}, whose output is also read unnormalized")
    if producer.target in LINEAR and len(shape(producer)) != 2:
        raise NotExact("normalizes another axis than the linear layer's features")
    set_linearity(graph_module, producer, _linearity(graph_module, producer).then(affine))
    # The folded op computes the normalized value, under the convolution's own name and module.
    replace(node, producer)


def _fold_into_consumers(graph_module: GraphModule, node: Node, affine: Affine) -> None:
    if not node.users:
        raise NotExact("is never read")
    consumers = [_consumer(node, user) for user in node.users]
    for consumer in consumers:
        if consumer.target not in LINEAR and not is_zero(affine.shift) and _pads(consumer):
            raise NotExact(
                f"comes before {title(consumer)}, which pads with zeros: "
                "at the border the shift would be lost"
            )
    # All are computed before the first is changed, for one of them may refuse.
    folded = [_linearity(graph_module, consumer).after(affine) for consumer in consumers]
    for consumer, layer in zip(consumers, folded, strict=True):
        set_linearity(graph_module, consumer, layer)
    source = node.args[0]
    assert isinstance(source, Node)
    # Not by replace(): the source goes on computing what it did, not what the normalization did.
    node.replace_all_uses_with(source, propagate_meta=False)
    node.graph.erase_node(node)


def _consumer(source: Node, user: Node) -> Node:
    """Follow ``user`` through ops that commute with an affine map, to the op that has weights."""
    node = user
    flat = len(shape(source)) == 2
    while not (is_weighted(node) and node.args[0] is source):
        if is_weighted(node) or not commutes(node) or len(node.users) != 1:
            raise NotExact(f"comes before {node.name}, which cannot take its scale and shift in")
        flat = flat or node.target in FLATTENING or len(shape(node)) == 2
        source, node = node, next(iter(node.users))
    if node.target in LINEAR and not flat:
        raise NotExact("normalizes another axis than the linear layer's features")
    return node


def _pads(node: Node) -> bool:
    """Whether some output of a convolution sums over fewer taps than others."""
    if node.target in TRANSPOSED:
        return True
    padding = argument(node, "padding")
    if isinstance(padding, str):
        return padding != "valid"
    return any(padding)


def _linearity(graph_module: GraphModule, node: Node) -> Linearity:
    try:
        return linearity(graph_module, node)
    except NotExact as reason:
        raise NotExact(f"meets {title(node)}, which {reason}") from reason
