"""In-place ops as ops that return a new tensor.

``ReLU(inplace=True)`` and ``x += y`` write into a tensor that others may read later. Every other
step here moves and replaces ops, which is only safe if no op changes what another one made.
"""

from __future__ import annotations

import torch
from torch._ops import OpOverload
from torch.fx import GraphModule, Node

aten = torch.ops.aten


def apply(graph_module: GraphModule) -> int:
    """Replace the in-place ops of the graph; return how many.

    One that writes into a part of a tensor (``x[:, :2] += 1``) or into an input of the network
    stays: what else it changes cannot be told from the graph.
    """
    count = 0
    for node in list(graph_module.graph.nodes):
        target = _functional(node)
        written = node.args[0] if node.args else None
        if target is None or not isinstance(written, Node) or _shares_memory(written):
            continue
        node.target = target
        later = frozenset(_after(node))
        written.replace_all_uses_with(node, later.__contains__)
        count += 1
    graph_module.recompile()
    return count


def _functional(node: Node) -> OpOverload | None:
    """Return the op that computes what an in-place ``node`` does, None if there is none."""
    target = node.target
    if not isinstance(target, OpOverload) or not target._schema.is_mutable:
        return None
    name = target._schema.name.removeprefix("aten::")
    packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") else None
    if packet is None or target._overloadname not in packet.overloads():
        return None
    overload = getattr(packet, target._overloadname)
    assert isinstance(overload, OpOverload)
    return overload


def _shares_memory(node: Node) -> bool:
    """Whether other nodes may see the same memory as ``node``."""
    return node.op != "call_function" or _is_view(node) or any(map(_is_view, node.users))


def _is_view(node: Node) -> bool:
    if not isinstance(node.target, OpOverload):
        return node.op == "call_function"  # getitem of what chunk or split returned
    schema = node.target._schema
    return any(
        result.alias_info is not None and not result.alias_info.is_write
        for result in schema.returns
    ) or node.target in (aten.reshape.default, aten.flatten.using_ints, aten.contiguous.default)


def _after(node: Node) -> list[Node]:
    nodes = list(node.graph.nodes)
    return nodes[nodes.index(node) + 1 :]
