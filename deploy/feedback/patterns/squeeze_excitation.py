"""Gates: a number for each channel, computed from the whole map, and multiplied with the map.

The map is read a second time when it has left the caches, and in between stand four to six ops
with next to nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch.fx import Node

from groundspeed.deploy.feedback.edits import bypassed
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import shape
from groundspeed.ops import OpKind

_SQUEEZES = frozenset({OpKind.POOLING, OpKind.REDUCTION})


def gates(scene: Scene) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Yield each multiplication by a gate, with the ops from the squeezing to it, in order."""
    for op in scene.manifest.ops:
        node = scene.nodes[op.name]
        if op.kind is not OpKind.ELEMENTWISE or len(node.all_input_nodes) != 2:
            continue
        for gated, gate in (node.all_input_nodes, node.all_input_nodes[::-1]):
            if _is_per_channel(gate, gated):
                path = _back_to(scene, gate, gated)
                if any(scene.ops[name].kind in _SQUEEZES for name in path if name in scene.ops):
                    yield node, tuple(name for name in scene.ops if name in {*path, node.name})


def _is_per_channel(gate: Node, gated: Node) -> bool:
    one, other = shape(gate), shape(gated)
    return len(one) == len(other) == 4 and one[:2] == other[:2] and one[2:] == (1, 1) != other[2:]


def _back_to(scene: Scene, gate: Node, gated: Node) -> set[str]:
    """Return what lies between a gate and the map that it was computed from; empty if it was not.

    Nothing else may read it: else it would be computed without the gate too.
    """
    path: set[str] = set()
    node = gate
    while node is not gated:
        data = [each for each in node.all_input_nodes if each is gated or each.name in scene.ops]
        if len(data) != 1 or len(node.users) > 1:
            return set()
        path.add(node.name)
        (node,) = data
    return path


def _find(scene: Scene) -> Iterator[Sighting]:
    for node, ops in gates(scene):
        executed = scene.alone(ops)
        if executed:
            op = scene.ops[node.name]
            channels = op.output_shape[1]
            place = Place(
                module=op.module,
                line=op.line,
                ops=ops,
                what=f"a gate for each of {channels} channels",
            )
            yield Sighting(place=place, charges=dict.fromkeys(executed, 1.0))


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    after = bypassed(scene, {one.place.ops[-1] for one in sightings})
    return Change(what="the map without its gate", after=after)


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return "keep gates in the late stages alone, where maps are small, or leave them out"


PATTERN = Pattern(
    name="squeeze and excitation",
    guideline="G4",
    reason="The whole map is read again to be multiplied, after a chain of ops with little work.",
    source="J. Hu, L. Shen, G. Sun, Squeeze-and-Excitation Networks, CVPR 2018; ShuffleNet V2, 2.2",
    example="x * torch.sigmoid(fc2(torch.relu(fc1(x.mean((2, 3), keepdim=True)))))",
    find=_find,
    change=_change,
    advice=_advice,
)
