"""Padding of max pooling taken out of the pooling, where the input is never negative.

Max pooling pads with minus infinity. In TFLite that is a PADV2, which XNNPACK does not take: it
runs alone and cuts the delegated graph in two. What comes from a ReLU is at least 0, and then a
zero in the padding changes no maximum: every window holds at least one real value. A PAD with
zeros is XNNPACK's own.
"""

from __future__ import annotations

import operator

import torch
from torch.fx import GraphModule, Node

from groundspeed.export.graph import argument, call, calls, remove_unused, replace

aten = torch.ops.aten

# Never negative, whatever comes in.
NOT_NEGATIVE = {
    aten.relu.default,
    aten.relu_.default,
    aten.relu6.default,
    aten.sigmoid.default,
    aten.hardsigmoid.default,
    aten.softmax.int,
    aten.abs.default,
}
# Limits below by an argument.
BOUNDED = {
    aten.hardtanh.default: "min_val",
    aten.hardtanh_.default: "min_val",
    aten.clamp.default: "min",
    aten.clamp_min.default: "min",
}
# Never negative if all inputs are not: they choose, move, average or add.
PRESERVING = {
    aten.max_pool2d.default,
    aten.avg_pool2d.default,
    aten.adaptive_avg_pool2d.default,
    aten.cat.default,
    aten.add.Tensor,
    aten.mul.Tensor,
    aten.dropout.default,
    aten.view.default,
    aten.reshape.default,
    aten.transpose.int,
    aten.permute.default,
    aten.contiguous.default,
    aten.chunk.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.slice.Tensor,
    operator.getitem,
}


def apply(graph_module: GraphModule) -> int:
    """Rewrite every padded max pooling of a non-negative map; return how many."""
    count = 0
    for node in calls(graph_module, aten.max_pool2d.default):
        source = node.all_input_nodes[0]
        padding = _pair(argument(node, "padding"))
        if not any(padding) or _pair(argument(node, "dilation")) != (1, 1):
            continue
        if argument(node, "ceil_mode") or not _is_not_negative(source):
            continue
        height, width = padding
        with graph_module.graph.inserting_before(node):
            edges = [width, width, height, height]
            padded = call(graph_module, aten.constant_pad_nd.default, [source, edges, 0.0], node)
            kernel, stride = argument(node, "kernel_size"), argument(node, "stride")
            arguments = [padded, kernel, stride or kernel]
            pooled = call(graph_module, aten.max_pool2d.default, arguments, node)
        replace(node, pooled)
        count += 1
    remove_unused(graph_module)
    return count


def _is_not_negative(node: Node) -> bool:
    if node.op != "call_function":
        return False
    if node.target in NOT_NEGATIVE:
        return True
    if node.target in BOUNDED:
        bound = argument(node, BOUNDED[node.target])
        return isinstance(bound, int | float) and bound >= 0
    if node.target not in PRESERVING:
        return False
    if node.target in (aten.add.Tensor, aten.mul.Tensor):
        factors = [*node.args, *node.kwargs.values()]  # numbers to add, to multiply, and alpha
        if any(isinstance(item, int | float) and item < 0 for item in factors):
            return False
    return all(_is_not_negative(source) for source in node.all_input_nodes)


def _pair(value: int | list[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1]) if value else (0, 0)
