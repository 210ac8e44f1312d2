"""Layers with weights on the traced graph, and the ops between them that keep channels apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.fx import GraphModule, Node

from groundspeed.export.affine import Linearity
from groundspeed.export.graph import argument, module_path, set_weight, shape, weight

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

# With the rank of the feature maps [N, C, ...] that they average.
AVERAGES = {
    aten.adaptive_avg_pool1d.default: 3,
    aten.adaptive_avg_pool2d.default: 4,
    aten.adaptive_avg_pool3d.default: 5,
}
FLATTENING = {aten.flatten.using_ints, aten.view.default, aten.reshape.default}


class NotExact(Exception):
    """A change would alter what the network computes; the message, a predicate, says why."""


@dataclass(frozen=True)
class Skipped:
    """A layer that was left as it is.

    Attributes:
        module: its path in the user's network.
        reason: why, as the end of a sentence that begins with the path.
    """

    module: str
    reason: str


def title(node: Node) -> str:
    """Return what a person calls the layer: its module, or the op if the module is the root."""
    return module_path(node) or node.name


def is_weighted(node: Any) -> bool:
    """Return whether ``node`` is a convolution, transposed convolution or linear layer."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in WEIGHTED


def linearity(graph_module: GraphModule, node: Node) -> Linearity:
    """Return weight and bias of a layer.

    Raises:
        NotExact: they are not constants, or the layer's input is a single sample without a batch.
    """
    weights, bias = argument(node, "weight"), argument(node, "bias")
    for source in (weights, bias):
        if source is not None and source.op != "get_attr":
            raise NotExact("has a computed weight")
    if node.target not in LINEAR and len(shape(node)) != len(shape(weights)):
        raise NotExact("has no batch dimension")
    return Linearity(
        weight(graph_module, weights),
        None if bias is None else weight(graph_module, bias),
        1 if node.target in LINEAR else argument(node, "groups"),
        node.target in TRANSPOSED,
    )


def set_linearity(graph_module: GraphModule, node: Node, layer: Linearity) -> None:
    """Give a layer another weight and bias; other readers of the old ones keep them."""
    set_part(graph_module, node, "weight", layer.weight)
    if layer.bias is not None:
        set_part(graph_module, node, "bias", layer.bias)


def set_part(
    graph_module: GraphModule, node: Node, part: Literal["weight", "bias"], value: torch.Tensor
) -> None:
    """Give a layer another weight or another bias, under the name of the old one."""
    old = argument(node, part)
    path = str(argument(node, "weight").target).rpartition(".")[0]
    name = str(old.target) if old is not None else f"{path}.{part}".removeprefix(".")
    arguments = list(node.args) + [None] * (3 - len(node.args))
    arguments[1 if part == "weight" else 2] = set_weight(graph_module, name, value, user=node)
    node.args = tuple(arguments)


def commutes(node: Node) -> bool:
    """Return whether a scale and shift per channel may as well come after ``node``."""
    if node.target == aten.dropout.default:
        return True
    if node.target in AVERAGES:
        return len(shape(node)) == AVERAGES[node.target]
    if node.target == aten.mean.dim:
        rank = len(shape(node.all_input_nodes[0]))
        axes = argument(node, "dim")
        return bool(axes) and all(axis % rank >= 2 for axis in axes)
    if node.target in FLATTENING:
        before, after = shape(node.all_input_nodes[0]), shape(node)
        return len(after) == 2 and len(before) > 2 and after[0] == before[0]
    return False
