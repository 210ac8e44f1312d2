"""A scale or shift per channel behind a batch normalization, taken into it.

Networks that came from Caffe normalize without learned weights and then multiply and add per
channel, three ops for one (DenseNet and Inception in the ONNX zoo). Batch normalization has both.
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

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


def apply(graph_module: GraphModule) -> int:
    """Take every such scale and shift into the normalization before it; return how many."""
    count = 0
    for node in calls(graph_module, aten.mul.Tensor, aten.add.Tensor):
        found = _normalization_and_constant(node)
        if found is None or node.kwargs:  # the only keyword is alpha of an addition
            continue
        normalization, constant = found
        channels = shape(normalization)[1]
        value = weight(graph_module, constant).double().flatten().expand(channels)
        scale, shift = _learned(graph_module, normalization, channels)
        if node.target == aten.mul.Tensor:
            scale, shift = scale * value, shift * value
        else:
            shift = shift + value
        _set_learned(graph_module, normalization, scale, shift)
        replace(node, normalization)
        count += 1
    remove_unused(graph_module)
    return count


def _normalization_and_constant(node: Node) -> tuple[Node, Node] | None:
    nodes = [operand for operand in node.args if isinstance(operand, Node)]
    if len(nodes) != 2:
        return None
    for normalization, constant in (nodes, reversed(nodes)):
        if (
            normalization.target == aten.batch_norm.default
            and len(normalization.users) == 1
            and constant.op == "get_attr"
            and _is_per_channel(shape(constant), shape(normalization))
            and all(
                source is None or source.op == "get_attr"
                for source in (argument(normalization, "weight"), argument(normalization, "bias"))
            )
        ):
            return normalization, constant
    return None


def _is_per_channel(constant: tuple[int, ...], features: tuple[int, ...]) -> bool:
    aligned = (1,) * (len(features) - len(constant)) + constant
    expected = [(1, size) if axis == 1 else (1,) for axis, size in enumerate(features)]
    return len(aligned) == len(features) and all(
        size in allowed for size, allowed in zip(aligned, expected, strict=True)
    )


def _learned(
    graph_module: GraphModule, normalization: Node, channels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    scale, shift = argument(normalization, "weight"), argument(normalization, "bias")
    return (
        torch.ones(channels).double() if scale is None else weight(graph_module, scale).double(),
        torch.zeros(channels).double() if shift is None else weight(graph_module, shift).double(),
    )


def _set_learned(
    graph_module: GraphModule, normalization: Node, scale: torch.Tensor, shift: torch.Tensor
) -> None:
    dtype = normalization.meta["val"].dtype
    path = module_path(normalization) or normalization.name
    arguments = list(normalization.args)
    for position, (name, value) in enumerate((("weight", scale), ("bias", shift)), start=1):
        arguments[position] = set_weight(
            graph_module, f"{path}.{name}", value.to(dtype), user=normalization
        )
    normalization.args = tuple(arguments)
