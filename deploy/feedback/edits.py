"""Networks with something taken out, only to be measured."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch.fx import Node

from groundspeed.deploy.feedback.patterns.pattern import Network
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import editable, remove_unused, replace, shape


def bypassed(scene: Scene, ops: Collection[str]) -> Network | None:
    """Return the network with each of these ops replaced by its first input of the same shape.

    None where an op has no input of its output's shape, for then the rest would not fit.
    """
    graph = editable(scene.program)
    for node in list(graph.graph.nodes):
        if node.name not in ops:
            continue
        source = next((each for each in node.all_input_nodes if _fits(each, node)), None)
        if source is None:
            return None
        replace(node, source)
    remove_unused(graph)
    return Network(module=graph, inputs=example_inputs(scene))


def example_inputs(scene: Scene) -> tuple[torch.Tensor, ...]:
    """Return the inputs that the network was exported with."""
    assert scene.program.example_inputs is not None
    positional, _ = scene.program.example_inputs
    return tuple(positional)


def _fits(source: Node, node: Node) -> bool:
    return source.op != "get_attr" and shape(source) == shape(node)
