"""Ops that compute nothing in inference, taken out: dropout, detach, and casts to the same dtype.

Converters drop most of them too, but each that stays costs a copy, and all hide patterns.
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from groundspeed.export.graph import argument, calls, remove_unused, replace

aten = torch.ops.aten

DROPOUT = (aten.dropout.default, aten.feature_dropout.default, aten.alpha_dropout.default)
ALIASES = (
    aten.detach.default,
    aten.detach_.default,
    aten.alias.default,
    aten.lift_fresh_copy.default,
)
CASTS = (aten.to.dtype, aten._to_copy.default)


def apply(graph_module: GraphModule) -> int:
    """Take every identity out of the graph in place; return how many there were."""
    # A check of a cast's input, which is fixed in a traced graph and would keep the cast alive.
    for node in calls(graph_module, aten._assert_tensor_metadata.default):
        graph_module.graph.erase_node(node)
    count = 0
    for node in calls(graph_module, *DROPOUT, *ALIASES, *CASTS):
        source = node.args[0]
        if isinstance(source, Node) and _is_identity(node, source):
            replace(node, source)
            count += 1
    remove_unused(graph_module)
    return count


def _is_identity(node: Node, source: Node) -> bool:
    if node.target in DROPOUT:
        return not argument(node, "train") or argument(node, "p") == 0
    if node.target in CASTS:
        same = ("dtype", "device", "layout")
        before, after = source.meta["val"], node.meta["val"]
        return all(getattr(before, key) == getattr(after, key) for key in same)
    return True
