"""Which tensors of a graph are rounded to integers, and which of them share one scale."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.fx import Graph, Node

from groundspeed.models.calls import Call

# Every engine computes these within the op before them, whose own result is then never stored.
FUSED = {"relu", "relu6", "hardtanh", "clamp", "clamp_min"}

# What these give are values that they were given, so both sides can have one scale.
MOVES = frozenset(
    (
        *("cat", "channel_shuffle", "chunk", "clone", "constant_pad_nd", "contiguous", "dropout"),
        *("expand", "flatten", "getitem", "max_pool2d", "narrow", "permute", "reshape", "select"),
        *("slice", "split", "split_with_sizes", "squeeze", "transpose", "unsqueeze", "view"),
    )
)


def sites_by_scale(graph: Graph) -> list[list[Node]]:
    """Return the nodes whose results are rounded, grouped by the scale that they share.

    Those are the network's inputs and whatever is computed, unless an activation takes it in that
    every engine computes along with it. What only moves values has the scale of what it moves.
    """
    groups: dict[Node, set[Node]] = {}
    sites = []
    for node in graph.nodes:
        sources = [source for source in node.all_input_nodes if source in groups]
        if not _is_activation(node, sources):
            continue
        groups[node] = {node}
        if _moves(node):
            groups[node].update(*(groups[source] for source in sources))
            for member in groups[node]:
                groups[member] = groups[node]
        elif not _is_fused(node):
            sites.append(node)
    by_group: dict[int, list[Node]] = {}
    for site in sites:
        by_group.setdefault(id(groups[site]), []).append(site)
    return list(by_group.values())


def _is_activation(node: Node, sources: Sequence[Node]) -> bool:
    """Whether a node's value depends on the network's input and is what a scale applies to."""
    value = node.meta.get("val")
    if isinstance(value, list | tuple):  # the pieces of a split
        return bool(sources)
    is_float = isinstance(value, Tensor) and value.is_floating_point()
    return is_float and (node.op == "placeholder" or bool(sources))


def _moves(node: Node) -> bool:
    op = Call(node).op
    pads = op == "constant_pad_nd" and Call(node).arguments["value"] != 0
    return node.op == "call_function" and op in MOVES and not pads


def _is_fused(node: Node) -> bool:
    """Whether nothing but an activation that engines fuse reads a node."""
    readers = list(node.users)
    return len(readers) == 1 and Call(readers[0]).op in FUSED
