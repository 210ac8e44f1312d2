"""Ops of the network that move values and compute nothing: slices, joins, transposes, paddings.

Channel shuffles have a pattern of their own, and so have the conversions that a runtime inserts.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence

import torch
from torch.fx import Graph, GraphModule, Node

from groundspeed.deploy.feedback.conversions import around
from groundspeed.deploy.feedback.edits import redirected
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.channel_shuffle import shuffles, shuffling
from groundspeed.deploy.feedback.patterns.pattern import Change, Network, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import shape
from groundspeed.ops import Op, OpKind

aten = torch.ops.aten

# Executed ops that only rename dimensions.
_FREE = re.compile(r"reshape|flatten|squeeze|expand.?dims|identity|noop", re.IGNORECASE)
# ncnn's Split hands one blob to several readers; its Slice is what others call split.
_FREE_IN_NCNN = "Split"


def _find(scene: Scene) -> Iterator[Sighting]:
    chains = list(shuffles(scene))
    shuffled = {op for ops in chains for op in ops}
    taken = {position for ops in chains for position in shuffling(scene, ops)}
    returning = _returning(scene)
    for position in scene.alone(_moving(scene)):
        row = scene.executed[position].op
        ops = [op for op in row.covers if op.name not in shuffled]
        if ops and position not in taken and not _is_free(scene, row.executed.type):
            main = max(ops, key=lambda op: op.memory_bytes)
            place = Place(
                module=main.module,
                line=main.line,
                ops=tuple(op.name for op in ops),
                what=f"{_word(scene, main.name)} giving {_sizes(scene, main)}",
            )
            gone = returning.issuperset(place.ops)
            vanish = (position, *(around(scene, [position]) if gone else ()))
            yield Sighting(place=place, charges=dict.fromkeys(vanish, 1.0))


def _moving(scene: Scene) -> frozenset[str]:
    return frozenset(op.name for op in scene.manifest.ops if op.kind is OpKind.DATA_MOVEMENT)


def _is_free(scene: Scene, word: str) -> bool:
    return bool(_FREE.search(word)) or (scene.manifest.runtime == "ncnn" and word == _FREE_IN_NCNN)


def _word(scene: Scene, op: str) -> str:
    """Return what the user called an op; one of the parts that a split gives is called a split."""
    node = scene.nodes[op]
    if node.target is operator.getitem:
        (node,) = node.all_input_nodes
    return scene.call(node.name).op


def _sizes(scene: Scene, op: Op) -> str:
    return ", ".join("x".join(map(str, each.shape)) for each in scene.call(op.name).outputs)


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    returning = _returning(scene)
    taken = tuple(one for one in sightings if returning.issuperset(one.place.ops))
    if 2 * len(taken) >= len(sightings):
        after = redirected(scene, _round_trips(scene))
        return Change(what="the map as it is instead of each", after=after, taken=taken)
    return Change(
        what="the same maps lying there already, measured apart",
        before=_read(scene, sightings, moved=True),
        after=_read(scene, sightings, moved=False),
    )


def _returning(scene: Scene) -> set[str]:
    """Return the ops of all chains that keep the shape."""
    return {op for end, start in _round_trips(scene).items() for op in _between(scene, end, start)}


def _round_trips(scene: Scene) -> dict[str, str]:
    """Return the ends of the longest chains of moves that keep the shape -> what they start from.

    Whatever order the values have there, the ops behind it take as long.
    """
    moving = _moving(scene) - {op for ops in shuffles(scene) for op in ops}
    trips: dict[str, str] = {}
    inside: set[str] = set()
    for name in reversed(scene.ops):
        if name not in moving or name in inside or not _is_tensor(scene.nodes[name]):
            continue
        path = _path(scene.nodes[name], moving)
        same = [node for node in path[1:] if shape(node) == shape(path[0])]
        if same:
            trips[name] = same[-1].name
            inside |= _between(scene, name, trips[name])
    return trips


def _path(end: Node, moving: frozenset[str]) -> list[Node]:
    """Return a node and what its values came from, as far back as they only were moved by one."""
    path = [end]
    while path[-1].name in moving and len(path[-1].all_input_nodes) == 1:
        source = path[-1].all_input_nodes[0]
        if not _is_tensor(source):
            break
        path.append(source)
        if len(source.users) > 1:
            break
    return path


def _between(scene: Scene, end: str, start: str) -> set[str]:
    names: set[str] = set()
    node = scene.nodes[end]
    while node.name != start:
        names.add(node.name)
        (node,) = node.all_input_nodes
    return names


def _is_tensor(node: Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _read(scene: Scene, sightings: Sequence[Sighting], *, moved: bool) -> Network:
    """Return a network that reads each map that the ops give, with those ops or without them.

    A ReLU stands for the reader: what an op gives must be read by something.
    """
    names = {op for one in sightings for op in one.place.ops}
    # A split gives a list, which no network takes: it comes along with its parts.
    parts = [scene.nodes[name] for name in names]
    names |= {s.name for node in parts for s in node.all_input_nodes if not _is_tensor(s)}
    nodes = [node for node in scene.graph.graph.nodes if node.name in names]
    ends = [n for n in nodes if _is_tensor(n) and any(user.name not in names for user in n.users)]
    sources = [s for node in nodes for s in node.all_input_nodes if s.name not in names]
    starts = [source for source in sources if source.op != "get_attr"]
    given = list(dict.fromkeys(starts if moved else ends))
    graph, made = Graph(), dict[Node, Node]()
    for number, node in enumerate(given):
        made[node] = graph.placeholder(f"map_{number}")
    for node in (*set(sources).difference(starts), *nodes) if moved else ():
        made[node] = graph.node_copy(node, made.__getitem__)
    graph.output(tuple(graph.call_function(aten.relu.default, (made[node],)) for node in ends))
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.randn(shape(node), generator=generator) for node in given)
    return Network(module=GraphModule(scene.graph, graph), inputs=inputs)


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    words = sorted({_word(scene, op) for one in sightings for op in one.place.ops})
    return (
        f"each of these ({', '.join(words)}) copies its map: let layers read and write whole maps, "
        "add instead of concatenating, and leave out moves that later ones undo"
    )


PATTERN = Pattern(
    name="data movement",
    guideline="",
    reason="Values are read and written again at another place, and nothing is computed.",
    source="N. Ma, X. Zhang, H.-T. Zheng, J. Sun, ShuffleNet V2, ECCV 2018, section 2.1, figure 2",
    example="torch.cat([x[:, :58], block(x[:, 58:])], 1)",
    find=_find,
    change=_change,
    advice=_advice,
)
