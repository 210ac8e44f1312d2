"""Mean over height and width as global average pooling.

The same sum in the same order, but converters know pooling: LiteRT computes it without going back
to NCHW (one transpose less), and ncnn has one Pooling instead of Reduction and Reshape.
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule

from groundspeed.export.graph import argument, call, calls, remove_unused, replace, shape

aten = torch.ops.aten


def apply(graph_module: GraphModule) -> int:
    """Rewrite every mean over the last two axes of a feature map; return how many."""
    count = 0
    for node in calls(graph_module, aten.mean.dim):
        source = node.all_input_nodes[0]
        axes = argument(node, "dim")
        if len(shape(source)) != 4 or argument(node, "dtype") is not None or not axes:
            continue
        if {axis % 4 for axis in axes} != {2, 3}:
            continue
        with graph_module.graph.inserting_before(node):
            pooled = call(graph_module, aten.adaptive_avg_pool2d.default, [source, [1, 1]], node)
            if not argument(node, "keepdim"):
                pooled = call(graph_module, aten.flatten.using_ints, [pooled, 1], node)
        replace(node, pooled)
        count += 1
    remove_unused(graph_module)
    return count
