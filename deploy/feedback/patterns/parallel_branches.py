"""Convolutions beside each other, from one map to one map, instead of one larger convolution.

A residual connection is no branch in this sense, nor is its projection: no convolution of the main
path could take their work over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node

from groundspeed.deploy.feedback.convolutions import (
    DENSE,
    Apart,
    Convolution,
    convolutions,
    drift,
    excess,
    reference_rate,
)
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Network, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import shape
from groundspeed.ops import Op, OpKind

aten = torch.ops.aten

_JOINS = (aten.cat.default, aten.add.Tensor)


@dataclass(frozen=True)
class _Branch:
    """What stands in the place of branches, with its multiply-accumulates."""

    module: nn.Sequential
    macs: int


@dataclass(frozen=True)
class _Bundle:
    """Branches from one node to another.

    Attributes:
        fork: whose map all branches read.
        join: that puts their results together.
        branches: those with a convolution: their ops, in order of computation.
    """

    fork: Node
    join: Node
    branches: tuple[tuple[Op, ...], ...]

    @property
    def ops(self) -> tuple[Op, ...]:
        return tuple(op for branch in self.branches for op in branch)


def _find(scene: Scene) -> Iterator[Sighting]:
    typical, shapes = reference_rate(scene), {op.name: one for op, one in convolutions(scene)}
    for bundle in _bundles(scene):
        reference = _rate_of_one(scene, bundle, shapes, typical)
        charges = {
            position: excess(scene, position, reference)
            for op in bundle.ops
            if op.macs and (position := scene.owner(op.name)) is not None
        }
        charges |= dict.fromkeys(scene.alone({bundle.join.name}), 1.0)
        join = scene.ops[bundle.join.name]
        # What vanished (a view) has no owner, and nothing to dispatch.
        owners = [{scene.owner(op.name) for op in branch} - {None} for branch in bundle.branches]
        counts = [len(branch) for branch in owners]
        yield Sighting(
            place=Place(
                module=join.module,
                line=join.line,
                ops=(*(op.name for op in bundle.ops), join.name),
                what=f"{len(bundle.branches)} branches",
            ),
            charges=charges,
            dispatches=sum(counts) - max(counts),
        )


def _rate_of_one(
    scene: Scene, bundle: _Bundle, shapes: Mapping[str, Convolution], typical: float | None
) -> float | None:
    """Return the arithmetic rate at which one layer would do the work of the branches.

    One with the kernel of the widest of single layers can do it at the rate of that layer at least,
    which kernels of their own (Winograd's) may have to themselves; and where the others have
    smaller kernels, nothing says that it would be faster than that.
    """
    single = [[op for op in branch if op.macs] for branch in bundle.branches]
    dense = [each[0] for each in single if each[0].name in shapes and each[0].kind in DENSE]
    if typical is None or not dense or any(len(each) > 1 for each in single):
        return typical
    widest = max(dense, key=lambda op: shapes[op.name].kernel)
    position = scene.owner(widest.name)
    own = None if position is None else scene.executed[position].flops_per_s
    if own is not None and len({shapes[op.name].kernel for op in dense}) > 1:
        return own
    return max(typical, own or 0.0)


def _bundles(scene: Scene) -> Iterator[_Bundle]:
    for join in scene.nodes.values():
        if join.target not in _JOINS or join.name not in scene.ops:
            continue
        ends = [_branch(scene, end, join) for end in join.all_input_nodes]
        forks = dict.fromkeys(fork for fork, branch in ends if any(op.macs for op in branch))
        for fork in forks:
            branches = tuple(
                branch for start, branch in ends if start is fork and any(op.macs for op in branch)
            )
            if len(branches) > 1 and not _is_shortcut(join, branches):
                yield _Bundle(fork, join, branches)


def _branch(scene: Scene, end: Node, join: Node) -> tuple[Node, tuple[Op, ...]]:
    """Return what lies before a node that nothing else reads, and the node where it forks off."""
    path: list[Op] = []
    node = end
    while node.name in scene.ops and (node is end or len(node.users) == 1):
        data = [each for each in node.all_input_nodes if _is_data(scene, each)]
        if len(data) != 1 or (node is end and set(node.users) != {join}):
            break
        path.append(scene.ops[node.name])
        (node,) = data
    return node, tuple(reversed(path))


def _is_data(scene: Scene, node: Node) -> bool:
    return node.name in scene.ops or node.name in scene.program.graph_signature.user_inputs


def _is_shortcut(join: Node, branches: Sequence[Sequence[Op]]) -> bool:
    """Return whether one of two branches is a residual connection with its projection."""
    if join.target is not aten.add.Tensor or len(branches) != 2:
        return False
    one, other = ([op for op in branch if op.macs] for branch in branches)
    short, long = sorted((one, other), key=len)
    return len(short) == 1 < len(long) and short[0].kind is OpKind.POINTWISE


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    wanted = {one.place.ops[-1] for one in sightings}
    bundles = [one for one in _bundles(scene) if one.join.name in wanted]
    if any(len(shape(one.fork)) != 4 for one in bundles):
        return None
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.randn(shape(one.fork), generator=generator) for one in bundles)
    after = [_one_branch(scene, one) for one in bundles]
    change = drift((op for one in bundles for op in one.ops), after)
    return Change(
        what=f"one branch of dense layers, apart ({change})",
        before=Network(module=Apart([_part(scene, one) for one in bundles]), inputs=inputs),
        after=Network(module=Apart([one.module for one in after]), inputs=inputs),
    )


def _part(scene: Scene, bundle: _Bundle) -> nn.Module:
    """Return the part of the network between fork and join, with its weights."""
    wanted = {op.name for op in bundle.ops}
    graph, made = Graph(), dict[Node, Node]()
    for node in scene.graph.graph.nodes:
        if node.name == bundle.fork.name:
            made[node] = graph.placeholder("input")
        elif node.name in wanted:
            for weight in node.all_input_nodes:
                if weight.op == "get_attr" and weight not in made:
                    made[weight] = graph.node_copy(weight)
            made[node] = graph.node_copy(node, made.__getitem__)
    ends = [made[_named(scene, branch[-1])] for branch in bundle.branches]
    if bundle.join.target is aten.cat.default:
        graph.output(graph.call_function(aten.cat.default, (ends, 1)))
    else:
        graph.output(graph.call_function(aten.add.Tensor, tuple(ends[:2])))
    return GraphModule(scene.graph, graph)


def _named(scene: Scene, op: Op) -> Node:
    node: Node
    (node,) = (each for each in scene.graph.graph.nodes if each.name == op.name)
    return node


def _one_branch(scene: Scene, bundle: _Bundle) -> _Branch:
    """Return one branch of dense layers from the fork's map, with the MACs of all branches.

    Single layers beside each other become a single one with the largest of their dense kernels, and
    as many channels as that gives. What is deeper becomes two layers, the last to as many channels
    as the branches have together. Activations stay: they are not what is taken out, and a runtime
    may need a pass of their own for them.
    """
    shapes = {op.name: one for op, one in convolutions(scene)}
    layers = [[op for op in branch if op.macs] for branch in bundle.branches]
    dense = [shapes[op.name] for op in bundle.ops if op.name in shapes]
    kernel = max((one.kernel[0] for one in dense if one.groups == 1), default=1)
    kernel -= (kernel + 1) % 2  # an even one cannot keep the size with equal padding
    _, inputs, *read = shape(bundle.fork)
    outputs = sum(shape(_named(scene, branch[-1]))[1] for branch in bundle.branches)
    batch, channels, *size = shape(_named(scene, bundle.branches[0][-1]))
    if bundle.join.target is not aten.cat.default:
        outputs = channels
    stride = max(1, round(read[0] / size[0]))
    positions = batch * math.prod(math.ceil(side / stride) for side in read)
    macs = sum(op.macs for op in bundle.ops)
    for_each = positions * inputs * kernel * kernel  # channel between or behind

    def first(width: int) -> nn.Conv2d:
        return nn.Conv2d(inputs, width, kernel, stride=stride, padding=kernel // 2)

    activation = _activation(scene, bundle)
    if all(len(each) == 1 for each in layers):
        width = _whole(macs / for_each)
        return _Branch(nn.Sequential(first(width), activation), width * for_each)
    hidden = _whole(macs / (for_each + positions * outputs))
    last = nn.Conv2d(hidden, outputs, 1)
    return _Branch(
        nn.Sequential(first(hidden), activation, last, activation),
        hidden * (for_each + positions * outputs),
    )


def _activation(scene: Scene, bundle: _Bundle) -> nn.Module:
    """Return the activation that stands behind layers of the branches; the identity for none."""
    nodes = (_named(scene, op) for op in bundle.ops if op.kind is OpKind.ACTIVATION)
    one = next((node for node in nodes if len(node.all_input_nodes) == 1), None)
    return nn.Identity() if one is None else _Call(one)


class _Call(nn.Module):
    """A node of a graph that computes one value from another, without weights.

    Args:
        node: which.
    """

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """Return what the node makes of another value."""
        assert callable(self._node.target)
        result: torch.Tensor = self._node.target(value, *self._node.args[1:], **self._node.kwargs)
        return result


def _whole(channels: float) -> int:
    """Return a number of channels near to one that fills vectors, if it is not too small for it."""
    return 8 * round(channels / 8) if channels >= 32 else max(1, round(channels))


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return "merge the branches into one convolution: several with one kernel are one wider layer"


PATTERN = Pattern(
    name="parallel branches",
    guideline="G3",
    reason="Each branch is a smaller kernel with its own fixed cost, and joining them moves bytes.",
    source="N. Ma, X. Zhang, H.-T. Zheng, J. Sun, ShuffleNet V2, ECCV 2018, section 2.2 (G3)",
    example="torch.cat([conv1x1(x), conv3x3(x), conv5x5(x)], 1)",
    find=_find,
    change=_change,
    advice=_advice,
)
