"""A network that is to be mixed: which of its ops follow when only some layers are integers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from torch.export import ExportedProgram
from torch.fx import Node

from groundspeed.export.quantize.movement import moves
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.quantization import Quantization

CHOSEN = "chosen by auto"
FOLLOWS = "what it computes on is in floating point"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The network that is to be mixed.

    Attributes:
        program: the canonical graph, repaired if that was asked for.
        untouched: the same without repairs: what accuracy is compared with.
        quantization: the ranges, and what stays in floating point in any case.
        only_layers: whether the format computes nothing but layers with integers.
        symmetric: whether the zero point of activations is 0.
    """

    program: ExportedProgram
    untouched: ExportedProgram
    quantization: Quantization
    only_layers: bool = False
    symmetric: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of its input, batch included."""
        (name,) = self.program.graph_signature.user_inputs
        (found,) = (node for node in self.program.graph.nodes if node.name == name)
        return tuple(found.meta["val"].shape)

    @functools.cached_property
    def owners(self) -> dict[str, str]:
        """Op -> op of the layer that it is computed with, an activation's among them."""
        return owning_layers(self.program)

    def mixed(
        self, chosen: frozenset[str], reason: Callable[[str], str] = lambda layer: CHOSEN
    ) -> Quantization:
        """Return the quantization with only the chosen layers in integers.

        Args:
            chosen: ops of layers.
            reason: gives the reason why a layer stays in floating point.
        """
        floats = dict(self.quantization.float_ops or {})
        for op in float_ops(self.program, chosen):
            if op not in floats:
                floats[op] = reason(self.owners[op]) if op in self.owners else FOLLOWS
        return replace(self.quantization, float_ops=floats)

    def simulation(self, chosen: frozenset[str]) -> Simulation:
        """Return the network with the chosen layers in integers, simulated."""
        if not chosen:
            return Simulation(self.untouched, self.quantization, only=())
        return Simulation(
            self.program,
            self.mixed(chosen),
            only=chosen if self.only_layers else None,
            symmetric=self.symmetric,
        )


def owning_layers(program: ExportedProgram) -> dict[str, str]:
    """Return op -> op of the layer that it is computed with, an activation's among them."""
    return {member: layer.op for layer in layers(program) for member in layer.members}


def float_ops(program: ExportedProgram, chosen: frozenset[str]) -> Iterator[str]:
    """Yield the ops that compute in floating point when only some layers do in integers.

    What lies between layers is in integers where all that it reads is: then integers need not be
    made for its sake. What reads the network's inputs alone does as the layers behind it. And what
    is moved for nothing but layers in integers is made integers first: that is a quarter of the
    bytes, and engines fuse a layer with what quantizes its input only if nothing stands between.

    Args:
        program: the canonical graph.
        chosen: ops of the layers in integers.
    """
    owners = owning_layers(program)
    nodes = list(program.graph.nodes)
    before = _nearest(nodes, owners, lambda node: node.all_input_nodes)
    after = _nearest(nodes[::-1], owners, lambda node: node.users)
    moved = _moved_for(nodes, chosen)
    inputs = program.graph_signature.user_inputs
    for node in nodes:
        if node in moved:
            continue
        if node.op != "call_function" and node.name not in inputs:
            continue
        own = {owners[node.name]} if node.name in owners else set()
        if not (own or before[node] or after[node]) <= chosen:
            yield node.name


def _moved_for(nodes: Iterable[Node], layers: frozenset[str]) -> set[Node]:
    """Return the ops that only move what nobody reads but these layers."""
    found: set[Node] = set()
    for node in reversed(list(nodes)):
        readers = list(node.users)
        if moves(node) and readers and all(r in found or r.name in layers for r in readers):
            found.add(node)
    return found


def _nearest(
    nodes: Iterable[Node], owners: dict[str, str], neighbours: Callable[[Node], Iterable[Node]]
) -> dict[Node, frozenset[str]]:
    """Return the layers that each node comes upon first, on all ways in one direction."""
    found: dict[Node, frozenset[str]] = {}
    for node in nodes:
        met = [
            frozenset({owners[other.name]}) if other.name in owners else found[other]
            for other in neighbours(node)
        ]
        found[node] = frozenset().union(*met)
    return found
