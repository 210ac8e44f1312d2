"""Layers that follow one another so that a scale per channel passes from one to the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.fx import GraphModule, Node

from groundspeed.export.graph import argument, shape
from groundspeed.export.weighted import (
    LINEAR,
    NotExact,
    commutes,
    is_weighted,
    linearity,
    title,
)

aten = torch.ops.aten

# f(s x) = s f(x) for s > 0, whichever axis holds the channels.
HOMOGENEOUS = {
    aten.relu.default,
    aten.relu_.default,
    aten.leaky_relu.default,
    aten.leaky_relu_.default,
    aten.prelu.default,
}
# So are these, on feature maps [N, C, ...] of the given rank.
POOLS = {
    aten.max_pool1d.default: 3,
    aten.max_pool2d.default: 4,
    aten.max_pool3d.default: 5,
    aten.avg_pool1d.default: 3,
    aten.avg_pool2d.default: 4,
    aten.avg_pool3d.default: 5,
}
# And these, if they pad no channels, and with nothing but zeros or what is there already.
PADS = {aten.constant_pad_nd.default, aten.pad.default}
# Clipping, with the names of the bounds.
CLIPS = {
    aten.clamp.default: ("min", "max"),
    aten.clamp_.default: ("min", "max"),
    aten.hardtanh.default: ("min_val", "max_val"),
    aten.hardtanh_.default: ("min_val", "max_val"),
}


@dataclass(frozen=True)
class Link:
    """Two layers in a row.

    Attributes:
        first: the one whose output channels can be scaled.
        second: the only one that reads them, and that can undo it.
        clips: each ReLU6 between them, which has to become a ReLU first.
    """

    first: Node
    second: Node
    clips: tuple[Node, ...]


def link(graph_module: GraphModule, first: Node, *, replace_relu6: bool) -> Link:
    """Follow the output of a layer to the next one.

    Args:
        graph_module: the network.
        first: a convolution, transposed convolution or linear layer.
        replace_relu6: whether to go on behind a ReLU6.

    Raises:
        NotExact: scales per channel do not get there.
    """
    _check_own_weight(graph_module, first)
    axis = len(shape(first)) - 1 if first.target in LINEAR else 1
    clips: list[Node] = []
    source, reader = first, _only_reader(first)
    while not is_weighted(reader):
        if _is_clip(reader, 6):
            if not replace_relu6:
                raise NotExact(f"comes before {reader.name}, a ReLU6, whose bound does not scale")
            clips.append(reader)
        elif not _keeps_scales(reader, maps=first.target not in LINEAR):
            raise NotExact(f"comes before {reader.name}, which no scale per channel passes")
        source, reader = reader, _only_reader(reader)
    if axis != (len(shape(source)) - 1 if reader.target in LINEAR else 1):
        raise NotExact(f"comes before {title(reader)}, which sums over another axis")
    try:
        _check_own_weight(graph_module, reader)
    except NotExact as reason:
        raise NotExact(f"comes before {title(reader)}, which {reason}") from reason
    return Link(first, reader, tuple(clips))


def _check_own_weight(graph_module: GraphModule, node: Node) -> None:
    linearity(graph_module, node)  # raises if it is not constant
    tensor = argument(node, "weight").target
    for other in graph_module.graph.nodes:
        if other.target == tensor and any(reader is not node for reader in other.users):
            raise NotExact("shares its weight with another op")


def _only_reader(node: Node) -> Node:
    readers = list(node.users)
    if any(reader.op == "output" for reader in readers):
        raise NotExact("computes an output of the network")
    if len(readers) != 1:
        raise NotExact(f"is read by {len(readers)} ops")
    (reader,) = readers
    if reader.args[0] is not node or node in reader.args[1:]:
        raise NotExact(f"comes before {reader.name}, which no scale per channel passes")
    return reader


def _keeps_scales(node: Node, *, maps: bool) -> bool:
    """Whether an op gives the same if channels are scaled after it, by positive numbers.

    Args:
        node: the op.
        maps: whether channels are the axis after the batch; they are the last axis otherwise.
    """
    if node.target in HOMOGENEOUS or _is_clip(node, None):
        return True
    if node.target in POOLS:
        return maps and len(shape(node)) == POOLS[node.target]
    if node.target in PADS:
        spatial = len(argument(node, "pad")) // 2 <= len(shape(node)) - 2
        return maps and spatial and argument(node, "value") in (None, 0)
    return maps and commutes(node)


def _is_clip(node: Node, bound: float | None) -> bool:
    """Whether an op clips to between 0 and ``bound``."""
    if node.target == aten.relu6.default:
        return bound == 6
    if node.target not in CLIPS:
        return False
    low, high = (argument(node, name) for name in CLIPS[node.target])
    return bool(low == 0 and high == bound)
