"""Batch normalization folded into the weights next to it, on the traced graph.

Where it is exact, the normalization disappears:

    conv, transposed conv or linear -> BN    always, if nothing else reads the unnormalized value
    BN -> conv                               if the conv pads nothing, or the shift is 0
    BN -> (average, flatten) -> linear       always

What stays, stays with a reason: see :mod:`groundspeed.export.affine` for the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import GraphModule, Node

from groundspeed.export.affine import Affine, Linearity, is_zero
from groundspeed.export.graph import (
    argument,
    calls,
    module_path,
    remove_unused,
    replace,
    set_weight,
    shape,
    weight,
)

aten = torch.ops.aten

CONVOLUTIONS = {
    aten.conv1d.default,
    aten.conv1d.padding,
    aten.conv2d.default,
    aten.conv2d.padding,
    aten.conv3d.default,
    aten.conv3d.padding,
}
TRANSPOSED = {
    aten.conv_transpose1d.default,
    aten.conv_transpose2d.input,
    aten.conv_transpose3d.input,
}
LINEAR = {aten.linear.default}
WEIGHTED = CONVOLUTIONS | TRANSPOSED | LINEAR

# Ops that give the same whether a per-channel scale and shift come before or after them.
AVERAGES = {
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default,
}
FLATTENING = {aten.flatten.using_ints, aten.view.default, aten.reshape.default}


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


class _NotExact(Exception):
    """Folding this one would change what the network computes; the message says why."""


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
            if _is_weighted(node.args[0]):
                _fold_into_producer(graph_module, node, affine)
            else:
                _fold_into_consumers(graph_module, node, affine)
            count += 1
        except _NotExact as reason:
            kept.append(Kept(module_path(node) or node.name, str(reason)))
    remove_unused(graph_module)
    return Folded(count, tuple(kept))


def _affine(graph_module: GraphModule, node: Node) -> Affine:
    if argument(node, "training"):
        raise _NotExact("normalizes with the statistics of the batch, even in eval mode")
    tensors = {}
    for name in ("weight", "bias", "running_mean", "running_var"):
        source = argument(node, name)
        if source is not None and source.op != "get_attr":
            raise _NotExact(f"has a computed {name}")
        tensors[name] = None if source is None else weight(graph_module, source)
    mean, variance = tensors["running_mean"], tensors["running_var"]
    assert mean is not None
    assert variance is not None
    return Affine.of_batchnorm(
        tensors["weight"], tensors["bias"], mean, variance, argument(node, "eps")
    )


def _is_weighted(node: Any) -> bool:
    return isinstance(node, Node) and node.op == "call_function" and node.target in WEIGHTED


def _fold_into_producer(graph_module: GraphModule, node: Node, affine: Affine) -> None:
    producer = node.args[0]
    assert isinstance(producer, Node)
    if len(producer.users) > 1:
        raise _NotExact(
            f"follows {module_path(producer) or producer.name}, whose output is also read "
            "unnormalized"
        )
    if producer.target in LINEAR and len(shape(producer)) != 2:
        raise _NotExact("normalizes another axis than the linear layer's features")
    _set_linearity(graph_module, producer, _linearity(graph_module, producer).then(affine))
    # The folded op computes the normalized value, under the convolution's own name and module.
    replace(node, producer)


def _fold_into_consumers(graph_module: GraphModule, node: Node, affine: Affine) -> None:
    if not node.users:
        raise _NotExact("is never read")
    consumers = [_consumer(node, user) for user in node.users]
    for consumer in consumers:
        if consumer.target not in LINEAR and not is_zero(affine.shift) and _pads(consumer):
            raise _NotExact(
                f"comes before {module_path(consumer) or consumer.name}, which pads with zeros: "
                "at the border the shift would be lost"
            )
    # All are computed before the first is changed, for one of them may refuse.
    folded = [_absorbed(_linearity(graph_module, consumer), affine) for consumer in consumers]
    for consumer, linearity in zip(consumers, folded, strict=True):
        _set_linearity(graph_module, consumer, linearity)
    source = node.args[0]
    assert isinstance(source, Node)
    replace(node, source)


def _absorbed(linearity: Linearity, affine: Affine) -> Linearity:
    channels = linearity.weight.shape[0 if linearity.transposed else 1] * (
        1 if linearity.transposed else linearity.groups
    )
    # More columns than channels: a linear layer behind a flattened feature map.
    return linearity.after(affine.repeated(channels // affine.scale.numel()))


def _consumer(source: Node, user: Node) -> Node:
    """Follow ``user`` through ops that commute with an affine map, to the op that has weights."""
    node = user
    flat = len(shape(source)) == 2
    while not (_is_weighted(node) and node.args[0] is source):
        if _is_weighted(node) or not _commutes(node) or len(node.users) != 1:
            raise _NotExact(f"comes before {node.name}, which cannot take its scale and shift in")
        flat = flat or node.target in FLATTENING or len(shape(node)) == 2
        source, node = node, next(iter(node.users))
    if node.target in LINEAR and not flat:
        raise _NotExact("normalizes another axis than the linear layer's features")
    return node


def _commutes(node: Node) -> bool:
    """Whether a scale and shift per channel may as well come after ``node``."""
    if node.target in AVERAGES | {aten.dropout.default}:
        return True
    if node.target == aten.mean.dim:
        rank = len(shape(node.all_input_nodes[0]))
        axes = argument(node, "dim")
        return bool(axes) and all(axis % rank >= 2 for axis in axes)
    if node.target in FLATTENING:
        before, after = shape(node.all_input_nodes[0]), shape(node)
        return len(after) == 2 and len(before) > 2 and after[0] == before[0]
    return False


def _pads(node: Node) -> bool:
    """Whether some output of a convolution sums over fewer taps than others."""
    if node.target in TRANSPOSED:
        return True
    padding = argument(node, "padding")
    if isinstance(padding, str):
        return padding != "valid"
    return any(padding)


def _linearity(graph_module: GraphModule, node: Node) -> Linearity:
    weights, bias = argument(node, "weight"), argument(node, "bias")
    for source in (weights, bias):
        if source is not None and source.op != "get_attr":
            raise _NotExact(f"meets {module_path(node) or node.name}, whose weight is computed")
    if node.target not in LINEAR and len(shape(node)) != len(shape(weights)):
        raise _NotExact(f"meets {module_path(node) or node.name}, which has no batch dimension")
    return Linearity(
        weight(graph_module, weights),
        None if bias is None else weight(graph_module, bias),
        1 if node.target in LINEAR else argument(node, "groups"),
        node.target in TRANSPOSED,
    )


def _set_linearity(graph_module: GraphModule, node: Node, linearity: Linearity) -> None:
    old = argument(node, "weight")
    path = str(old.target).rpartition(".")[0]
    parts = {"weight": (str(old.target), linearity.weight)}
    if linearity.bias is not None:
        parts["bias"] = (f"{path}.bias" if path else "bias", linearity.bias)
    arguments = list(node.args) + [None] * (3 - len(node.args))
    for position, name in ((1, "weight"), (2, "bias")):
        if name in parts:
            arguments[position] = set_weight(graph_module, *parts[name], user=node)
    node.args = tuple(arguments)
