"""Every spelling of a channel shuffle, said in the one way that all converters take best.

The shuffle of ShuffleNet (Zhang et al., section 3.1, https://arxiv.org/abs/1707.01083) sends
channel ``i * n + j`` of ``groups * n`` to ``j * groups + i``. People write it with view and
transpose, reshape and permute, flatten, ``F.channel_shuffle``, or as a gather ``x[:, order]``.
Only view, transpose, contiguous, view becomes one ShuffleChannel in ncnn (others come out as
unknown layers), and it avoids the gather that leaves XNNPACK in LiteRT.

A chain of ops that only move values is recognized by what it *does* to the numbers 0, 1, 2, …,
so no spelling needs a pattern of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.fx import GraphModule, Node

from groundspeed.export.graph import call, calls, constant, remove_unused, replace, shape

aten = torch.ops.aten

MOVES = {
    aten.view.default,
    aten.reshape.default,
    aten._unsafe_view.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.transpose.int,
    aten.permute.default,
    aten.contiguous.default,
    aten.clone.default,
    aten.channel_shuffle.default,
    aten.native_channel_shuffle.default,
    aten.index_select.default,
    aten.index.Tensor,
}
SPELLING = [
    aten.view.default,
    aten.transpose.int,
    aten.contiguous.default,
    aten.view.default,
]


def apply(graph_module: GraphModule) -> int:
    """Rewrite every channel shuffle of the graph in place; return how many were respelled."""
    count = 0
    for node in calls(graph_module, *MOVES):
        for chain in _chains(node):
            groups = _shuffle_groups(graph_module, chain)
            if groups is None:
                continue
            if [link.target for link in chain] != SPELLING:
                _respell(graph_module, chain, groups)
                count += 1
            break
    remove_unused(graph_module)
    return count


def _chains(last: Node) -> list[list[Node]]:
    """Return the chains of moves that end at ``last`` and keep the shape, shortest first."""
    chains = []
    chain: list[Node] = []
    node = last
    while node.op == "call_function" and node.target in MOVES:
        if chain and len(node.users) > 1:
            break
        source = node.args[0]
        assert isinstance(source, Node)
        chain.insert(0, node)
        if shape(source) == shape(last) and len(shape(last)) >= 3:
            chains.append(list(chain))
        node = source
    return chains


def _shuffle_groups(graph_module: GraphModule, chain: Sequence[Node]) -> int | None:
    """Return the number of groups that ``chain`` shuffles, None if it does anything else."""
    source = chain[0].args[0]
    assert isinstance(source, Node)
    size = shape(source)
    numbers = torch.arange(math.prod(size)).view(size)
    moved = numbers
    for node in chain:
        others = {other: constant(graph_module, other) for other in node.all_input_nodes[1:]}
        if any(value is None for value in others.values()):
            return None
        arguments = torch.fx.node.map_arg(node.args[1:], others.get)
        moved = node.target(moved, *arguments)  # type: ignore[operator]
    channels = size[1]
    # The first value of each channel tells where it came from, if channels moved as a whole.
    order = moved[0].flatten(1)[:, 0] // math.prod(size[2:])
    if channels < 4 or not torch.equal(moved, numbers[:, order.clamp(max=channels - 1)]):
        return None
    groups = channels // int(order[1]) if order[1] else 0
    if not 1 < groups < channels or channels % groups:
        return None
    expected = torch.arange(channels).view(groups, -1).t().flatten()
    return groups if torch.equal(order, expected) else None


def _respell(graph_module: GraphModule, chain: Sequence[Node], groups: int) -> None:
    source, last = chain[0].args[0], chain[-1]
    assert isinstance(source, Node)
    batch, channels, *rest = shape(source)
    split = [batch, groups, channels // groups, *rest]
    with graph_module.graph.inserting_before(last):
        node = call(graph_module, aten.view.default, [source, split], last)
        node = call(graph_module, aten.transpose.int, [node, 1, 2], last)
        node = call(graph_module, aten.contiguous.default, [node], last)
        node = call(graph_module, aten.view.default, [node, [batch, channels, *rest]], last)
    replace(last, node)
