"""Gates: a number for each channel, computed from the whole map, and multiplied with the map.

The map is read a second time when it has left the caches, and in between stand four to six ops
with next to nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch.fx import Node

from groundspeed.deploy.feedback.conversions import around
from groundspeed.deploy.feedback.edits import rewired
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import shape
from groundspeed.ops import OpKind

_SQUEEZES = frozenset({OpKind.POOLING, OpKind.REDUCTION})


@dataclass(frozen=True)
class Gate:
    """A map that is multiplied with numbers computed from it.

    Attributes:
        product: the multiplication.
        map: which of its two inputs is the map.
        ops: from the squeezing to the multiplication, in order.
    """

    product: Node
    map: int
    ops: tuple[str, ...]


def gates(scene: Scene) -> Iterator[Gate]:
    """Yield the gates of a network in order of computation."""
    for op in scene.manifest.ops:
        node = scene.nodes[op.name]
        if op.kind is not OpKind.ELEMENTWISE or len(node.all_input_nodes) != 2:
            continue
        for which in (0, 1):
            gated, gate = node.all_input_nodes[which], node.all_input_nodes[1 - which]
            if _is_per_channel(gate, gated):
                path = _back_to(scene, gate, gated)
                if any(scene.ops[name].kind in _SQUEEZES for name in path):
                    ops = tuple(name for name in scene.ops if name in {*path, node.name})
                    yield Gate(node, which, ops)


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
    for gate in gates(scene):
        executed = scene.alone(gate.ops)
        if executed:
            op = scene.ops[gate.product.name]
            product = scene.alone({op.name})
            what = f"a gate for each of {op.output_shape[1]} channels"
            yield Sighting(
                place=Place(module=op.module, line=op.line, ops=gate.ops, what=what),
                charges=dict.fromkeys((*executed, *around(scene, executed, product)), 1.0),
            )


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    products = {one.place.ops[-1] for one in sightings}
    maps = {gate.product.name: gate.map for gate in gates(scene) if gate.product.name in products}
    return Change(what="the map without its gate", after=rewired(scene, maps))


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
