"""Channel shuffles: the channels of groups or branches dealt out among each other.

A shuffle computes nothing and moves every value. Runtimes have one kernel for it (ncnn), a
transpose between two reshapes (ONNX Runtime), or three transposes, where channels come last
(LiteRT). Export writes every spelling of it in one way, which is the one that is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import getitem

import torch
from torch.fx import Node

from groundspeed.deploy.feedback.conversions import around
from groundspeed.deploy.feedback.edits import redirected
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import argument, shape
from groundspeed.export.rewrites.channel_shuffle import SPELLING
from groundspeed.ops import OpKind

aten = torch.ops.aten


def shuffles(scene: Scene) -> Iterator[tuple[str, ...]]:
    """Yield the ops of each channel shuffle, in order."""
    for name in scene.ops:
        chain = _chain(scene.nodes[name])
        if chain:
            yield tuple(node.name for node in chain)


def shuffling(scene: Scene, ops: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of what the runtime executed for a shuffle alone.

    It may take more ops than the network: of those, several give the values of one op, and some,
    where channels come last, give the values of none. These stand between the others.
    """
    moving = [
        position
        for position, row in enumerate(scene.executed)
        if not row.op.covers and row.op.kind is OpKind.DATA_MOVEMENT
    ]
    again = [
        position
        for position in moving
        if (row := scene.executed[position].op).moves is not None
        and row.moves.name in ops
        and not row.inserted
    ]
    tied = sorted({*scene.alone(ops), *again})
    between = [position for position in moving if tied and tied[0] < position < tied[-1]]
    return tuple(sorted({*tied, *between}))


def _chain(last: Node) -> tuple[Node, ...]:
    """Return the ops of the shuffle that ends in a node; none if it ends in nothing of the sort."""
    chain = [last]
    while len(chain) < len(SPELLING) and chain[0].all_input_nodes:
        chain.insert(0, chain[0].all_input_nodes[0])
    if [node.target for node in chain] != SPELLING or any(len(n.users) > 1 for n in chain[:-1]):
        return ()
    split, transpose = chain[0], chain[1]
    swapped = {argument(transpose, "dim0"), argument(transpose, "dim1")}
    whole, parts = shape(split.all_input_nodes[0]), shape(split)
    splits_channels = len(whole) >= 3 and parts == (whole[0], *parts[1:3], *whole[2:])
    return tuple(chain) if splits_channels and swapped == {1, 2} and shape(last) == whole else ()


def _find(scene: Scene) -> Iterator[Sighting]:
    for ops in shuffles(scene):
        executed = shuffling(scene, ops)
        if executed:
            groups = shape(scene.nodes[ops[0]])[1]
            last = scene.ops[ops[-1]]
            freed = scene.alone(_freed(scene, ops))
            what = f"{last.output_shape[1]} channels in {groups} groups"
            yield Sighting(
                place=Place(module=last.module, line=last.line, ops=ops, what=what),
                charges=dict.fromkeys((*executed, *around(scene, executed), *freed), 1.0),
            )


def _freed(scene: Scene, ops: Sequence[str]) -> frozenset[str]:
    """Return the join before a shuffle and the parts behind it, if they go when it does.

    Without it they undo each other, and TFLite's converter drops what undoes itself.
    """
    (join,), readers = scene.nodes[ops[0]].all_input_nodes, scene.nodes[ops[-1]].users
    if scene.manifest.format != "tflite" or join.target is not aten.cat.default:
        return frozenset()
    parts = [part for reader in readers for part in reader.users if part.target is getitem]
    whole = [shape(each) for each in join.all_input_nodes]
    undone = len(readers) == 1 == len(join.users) and [shape(each) for each in parts] == whole
    return frozenset({join.name, *(each.name for each in parts)}) if undone else frozenset()


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    sources = {
        one.place.ops[-1]: scene.nodes[one.place.ops[0]].all_input_nodes[0].name
        for one in sightings
    }
    return Change(what="the map as it is instead of each", after=redirected(scene, sources))


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return (
        "shuffle less often (every second block), or let a pointwise convolution mix the channels: "
        "one that comes next can take the shuffle into the order of its weights"
    )


PATTERN = Pattern(
    name="channel shuffle",
    guideline="",
    reason="Every value is moved and nothing is computed.",
    source="X. Zhang, X. Zhou, M. Lin, J. Sun, ShuffleNet, CVPR 2018, section 3.1",
    example="x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)",
    find=_find,
    change=_change,
    advice=_advice,
)
