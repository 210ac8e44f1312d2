"""Networks with something taken out, only to be measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch.fx import GraphModule, Node

from groundspeed.deploy.feedback.calming import calm
from groundspeed.deploy.feedback.patterns.pattern import Network
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.graph import editable, remove_unused, replace, shape, value_name


def bypassed(scene: Scene, ops: Collection[str]) -> Network:
    """Return the network with each of these ops replaced by one of its inputs.

    Args:
        scene: the network; it stays as it is.
        ops: canonical ops that are :func:`bypassable`.
    """
    return rewired(scene, dict.fromkeys(ops))


def rewired(scene: Scene, kept: Mapping[str, int | None]) -> Network:
    """Return the network with ops replaced by one of their inputs; what no one reads is dropped.

    Args:
        scene: the network; it stays as it is.
        kept: op -> which of its inputs stands for it, of the same shape; None chooses one for
            which no work is lost.
    """
    graph = editable(scene.program)
    by_name = {node.name: node for node in graph.graph.nodes}
    for op, which in kept.items():
        node = by_name[op]
        source = _kept(node) if which is None else node.all_input_nodes[which]
        assert source is not None, f"{op} cannot be bypassed"
        replace(node, source)
    return _measurable(scene, graph)


def redirected(scene: Scene, sources: Mapping[str, str]) -> Network:
    """Return the network with each of these values replaced by an earlier one of its shape.

    Args:
        scene: the network; it stays as it is.
        sources: canonical op -> the canonical op or input whose value stands for its own.
    """
    graph = editable(scene.program)
    nodes = {value_name(node): node for node in graph.graph.nodes}
    # From the end, for what stands for a later value may be replaced itself.
    for name in reversed([name for name in nodes if name in sources]):
        replace(nodes[name], nodes[sources[name]])
    return _measurable(scene, graph)


def _measurable(scene: Scene, graph: GraphModule) -> Network:
    inputs = example_inputs(scene)
    remove_unused(graph)
    calm(graph, inputs)
    return Network(module=graph, inputs=inputs)


def bypassable(scene: Scene, op: str) -> bool:
    """Return whether an op can be replaced by one of its inputs and nothing else is lost by it."""
    (node,) = (each for each in scene.graph.graph.nodes if each.name == op)
    return _kept(node) is not None


def example_inputs(scene: Scene) -> tuple[torch.Tensor, ...]:
    """Return the inputs that the network was exported with."""
    assert scene.program.example_inputs is not None
    positional, _ = scene.program.example_inputs
    return tuple(positional)


def _kept(node: Node) -> Node | None:
    """Return the input of the output's shape that can stand for it.

    What the other inputs were computed for must be computed all the same: of a residual addition
    the block is kept, not the way around it.
    """
    inputs = [each for each in node.all_input_nodes if each.op != "get_attr"]
    for source in inputs:
        others = [each for each in inputs if each is not source]
        if shape(source) == shape(node) and all(_lives_on(each, node) for each in others):
            return source
    return None


def _lives_on(node: Node, reader: Node) -> bool:
    """Return whether all work with weights that went into a value is done without its reader."""
    if node.op != "call_function" or any(user is not reader for user in node.users):
        return True
    sources = node.all_input_nodes
    return all(each.op != "get_attr" and _lives_on(each, node) for each in sources)
