"""A network as a graph that can be trained: ``torch.export``'s, with a free batch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx import GraphModule, Node
from torch.fx.experimental.symbolic_shapes import is_concrete_int
from torch.fx.graph import CodeGen

from groundspeed.errors import SourceError

aten = torch.ops.aten


def traced(network: nn.Module, inputs: Sequence[Tensor]) -> GraphModule:
    """Return the graph of a copy of a network, in evaluation mode and without in-place ops.

    It answers with a tensor, or with a flat tuple of them.

    Args:
        network: stays as it is.
        inputs: examples, in order; their first dimension is the batch.

    Raises:
        SourceError: it cannot be traced, or only for one size of the batch.
    """
    network = copy.deepcopy(network).eval()
    # A size of 1 would be taken for a constant.
    examples = tuple(torch.cat([x, x]) if len(x) == 1 else x for x in inputs)
    free = tuple({0: torch.export.Dim.AUTO} for _ in examples)
    with torch.no_grad(), warnings.catch_warnings():
        # torch.export warns about its own internals.
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(network, examples, dynamic_shapes=free)
        except Exception as error:
            raise SourceError(
                f"{type(network).__name__} cannot be traced ({str(error).splitlines()[0]}); "
                "control flow and shapes must not depend on values of tensors"
            ) from error
        graph_module = program.module(check_guards=False)
    assert isinstance(graph_module, GraphModule)
    for node in graph_module.graph.find_nodes(op="placeholder"):
        if is_concrete_int(node.meta["val"].shape[0]):
            raise SourceError(
                f"{type(network).__name__} runs only on batches of the size that it was traced "
                "with, and training needs others; take the batch from x.shape[0]"
            )
    _replace_in_place_ops(graph_module)
    _flatten_outputs(graph_module)
    return graph_module


def _replace_in_place_ops(graph_module: GraphModule) -> None:
    """Let ``relu_`` and ``add_`` return a new tensor: what is rounded may be read once more."""
    nodes = list(graph_module.graph.nodes)
    for position, node in enumerate(nodes):
        functional = _functional(node)
        if functional is not None:
            written = node.args[0]
            node.target = functional
            later = frozenset(nodes[position + 1 :])
            written.replace_all_uses_with(node, later.__contains__)


def _flatten_outputs(graph_module: GraphModule) -> None:
    output = graph_module.graph.output_node()
    (values,) = output.args
    assert isinstance(values, tuple | list)
    output.args = (values[0] if len(values) == 1 else tuple(values),)
    graph_module.graph.set_codegen(CodeGen())


def _functional(node: Node) -> OpOverload | None:
    """Return the op that computes what an in-place ``node`` does, None if it is not in place."""
    target = node.target
    if not isinstance(target, OpOverload) or not target._schema.is_mutable:
        return None
    packet = getattr(aten, target._schema.name.removeprefix("aten::").removesuffix("_"), None)
    overload = getattr(packet, target._overloadname, None)
    return overload if isinstance(overload, OpOverload) else None
