"""Tensors that share one range, because what lies between them only moves values about.

A reshape, a slice, a concatenation or a maximum pooling of integers needs no arithmetic when both
sides have the same scale, and TFLite's specification asks for just that. So the range of each
group of tensors that are connected by such ops is the least one that holds them all.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch.fx import Graph, Node

from groundspeed.export.graph import argument
from groundspeed.quantization import Range

aten = torch.ops.aten

MOVES = frozenset(
    {
        operator.getitem,
        aten.cat.default,
        aten.channel_shuffle.default,
        aten.chunk.default,
        aten.clone.default,
        aten.constant_pad_nd.default,
        aten.contiguous.default,
        aten.dropout.default,
        aten.expand.default,
        aten.flatten.using_ints,
        aten.max_pool2d.default,
        aten.narrow.default,
        aten.pad.default,
        aten.permute.default,
        aten.reshape.default,
        aten.select.int,
        aten.slice.Tensor,
        aten.split.Tensor,
        aten.split_with_sizes.default,
        aten.squeeze.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.transpose.int,
        aten.unsqueeze.default,
        aten.view.default,
    }
)


def moves(node: Node) -> bool:
    """Return whether an op computes nothing: each value that it gives is one that it takes."""
    if node.target is aten.constant_pad_nd.default:
        return not argument(node, "value")
    if node.target is aten.pad.default:
        return argument(node, "mode") != "constant" or not argument(node, "value")
    return node.op == "call_function" and node.target in MOVES


def joined(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Return the ranges with those of connected tensors made one, which all of them get.

    Args:
        graph: the canonical graph.
        ranges: name of a node -> range of its values; of connected nodes one is enough.
    """
    groups = _Groups()
    for node in graph.nodes:
        if moves(node):
            for source in node.all_input_nodes:
                if source.op != "get_attr":
                    groups.join(node.name, source.name)
    members: dict[str, list[Range]] = {}
    for name, found in ranges.items():
        members.setdefault(groups.root(name), []).append(found)
    whole = {root: reduce(Range.joined, each) for root, each in members.items()}
    roots = {node.name: groups.root(node.name) for node in graph.nodes}
    return {name: whole[root] for name, root in roots.items() if root in whole}


class _Groups:
    """Disjoint sets of names (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def root(self, name: str) -> str:
        parent = self._parents.get(name, name)
        if parent == name:
            return name
        self._parents[name] = found = self.root(parent)
        return found

    def join(self, one: str, other: str) -> None:
        self._parents[self.root(one)] = self.root(other)


def fused_activations(node: Node) -> list[Node]:
    """Return the activations behind a layer that every engine computes within it, in order.

    The values in between are never stored, so they need no range of their own.
    """
    found: list[Node] = []
    current = node
    while len(current.users) == 1:
        (user,) = current.users
        if user.op != "call_function" or user.target not in CLAMPS:
            break
        found.append(user)
        current = user
    return found


CLAMPS: frozenset[Any] = frozenset(
    {
        aten.clamp.default,
        aten.clamp_min.default,
        aten.hardtanh.default,
        aten.relu.default,
        aten.relu6.default,
    }
)
