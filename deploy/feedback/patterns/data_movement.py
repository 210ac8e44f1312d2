"""Ops of the network that move values and compute nothing: slices, joins, transposes, paddings.

Channel shuffles have a pattern of their own, and so have the conversions that a runtime inserts.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node

from groundspeed.deploy.feedback.conversions import around
from groundspeed.deploy.feedback.convolutions import corner
from groundspeed.deploy.feedback.edits import redirected
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.channel_shuffle import shuffles, shuffling
from groundspeed.deploy.feedback.patterns.pattern import Change, Network, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import shape
from groundspeed.ops import Op, OpKind

CHANNELS = 8  # of what maps are made of: as few as fill a vector

Shape = tuple[int, ...]

# Executed ops that only rename dimensions.
_FREE = re.compile(r"reshape|flatten|squeeze|expand.?dims|identity|noop", re.IGNORECASE)
# ncnn's Split hands one blob to several readers; its Slice is what others call split.
_FREE_IN_NCNN = "Split"


@dataclass(frozen=True)
class _RoundTrip:
    """Moves from one map to one map of the same shape.

    Attributes:
        source: where the values come from.
        end: the last move.
        ops: all moves, the last among them.
    """

    source: str
    end: str
    ops: frozenset[str]


def _find(scene: Scene) -> Iterator[Sighting]:
    chains = list(shuffles(scene))
    shuffled = {op for ops in chains for op in ops}
    taken = {position for ops in chains for position in shuffling(scene, ops)}
    executed = [scene.alone(trip.ops) for trip in _round_trips(scene)]
    # What goes with all of a round trip is charged to the first of its moves.
    along = {positions[0]: around(scene, positions) for positions in executed if positions}
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
            vanish = (position, *along.get(position, ()))
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
    trips = list(_round_trips(scene))
    returning = frozenset[str]().union(*(trip.ops for trip in trips))
    taken = tuple(one for one in sightings if returning.issuperset(one.place.ops))
    if 2 * len(taken) >= len(sightings):
        after = redirected(scene, {trip.end: trip.source for trip in trips})
        return Change(what="the map as it is instead of each", after=after, taken=taken)
    moves, shapes = _moves(scene, sightings)
    return Change(
        what="the same maps left as they are, apart",
        before=_apart(shapes, moves),
        after=_apart(shapes, None),
    )


def _round_trips(scene: Scene) -> Iterator[_RoundTrip]:
    """Yield the longest round trips, from the last to the first.

    Whatever order the values have at the end, the ops behind it take as long.
    """
    order = {node: place for place, node in enumerate(scene.nodes.values())}
    moving = _moving(scene) - {op for ops in shuffles(scene) for op in ops}
    passed: set[str] = set()
    for name in reversed(scene.ops):
        if name in moving and name not in passed and _is_tensor(scene.nodes[name]):
            trip = _round_trip(scene.nodes[name], moving, order)
            if trip is not None:
                passed |= trip.ops
                yield trip


def _round_trip(end: Node, moving: frozenset[str], order: Mapping[Node, int]) -> _RoundTrip | None:
    """Return the longest round trip that ends in a move, if there is one."""
    inside, edge = {end}, set(end.all_input_nodes)
    found = None
    while edge:
        last = max(edge, key=order.__getitem__)
        if len(edge) == 1 and _is_tensor(last) and shape(last) == shape(end):
            found = _RoundTrip(last.name, end.name, frozenset(node.name for node in inside))
        if last.name not in moving or not inside.issuperset(last.users):
            return found
        inside.add(last)
        edge = edge.difference({last}).union(last.all_input_nodes)
    return found


def _is_tensor(node: Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _moves(scene: Scene, sightings: Sequence[Sighting]) -> tuple[GraphModule, list[Shape]]:
    """Return a network of the ops alone, and the shapes of what it reads."""
    names = {op for one in sightings for op in one.place.ops}
    # A split gives a list, which no network takes: it comes along with its parts.
    parts = [scene.nodes[name] for name in names]
    names |= {s.name for node in parts for s in node.all_input_nodes if not _is_tensor(s)}
    nodes = [node for node in scene.graph.graph.nodes if node.name in names]
    ends = [n for n in nodes if _is_tensor(n) and any(user.name not in names for user in n.users)]
    graph, made, shapes = Graph(), dict[Node, Node](), list[Shape]()
    for source in dict.fromkeys(s for node in nodes for s in node.all_input_nodes):
        if source.op == "get_attr":
            made[source] = graph.node_copy(source)
        elif source.name not in names:
            made[source] = graph.placeholder(f"map_{len(shapes)}")
            shapes.append(shape(source))
    for node in nodes:
        made[node] = graph.node_copy(node, made.__getitem__)
    graph.output(tuple(made[node] for node in ends))
    return GraphModule(scene.graph, graph), shapes


class _Made(nn.Module):
    """Maps that small convolutions make, moved or as they are.

    So they have the layout that a runtime gives to maps inside a network, and are as fresh in its
    caches. Of each only a corner is handed out.

    Args:
        shapes: of the maps.
        moves: takes and returns maps; None leaves them.
    """

    def __init__(self, shapes: Sequence[Shape], moves: nn.Module | None) -> None:
        super().__init__()
        self.makers = nn.ModuleList(
            nn.Conv2d(CHANNELS, size[1], 1) if len(size) == 4 else nn.ReLU() for size in shapes
        )
        self.moves = moves

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return a corner of each map.

        Args:
            inputs: of each map, [N, CHANNELS, H, W]; what is no map, as it is.
        """
        maps = [make(each) for make, each in zip(self.makers, inputs, strict=True)]
        return tuple(map(corner, maps if self.moves is None else self.moves(*maps)))


def _apart(shapes: Sequence[Shape], moves: nn.Module | None) -> Network:
    generator = torch.Generator().manual_seed(0)
    sizes = [(n, CHANNELS, *rest[1:]) if len(rest) == 3 else (n, *rest) for n, *rest in shapes]
    inputs = tuple(torch.randn(size, generator=generator) for size in sizes)
    return Network(module=_Made(shapes, moves), inputs=inputs)


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
