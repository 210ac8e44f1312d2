"""Quantization-aware training: a network that trains as it will compute, with 8-bit integers.

    network = prepare_qat(network, (images[:2],), schedule=Schedule(freeze=200))
    train(network, images, labels, settings=...)
    network = convert(network)

The converted network carries its learned ranges as fake-quantization ops in its traced graph, from
where export takes them; a program that ``torch.export.save`` wrote of it carries them, too.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx import GraphModule, Node

from groundspeed.models.calls import Call
from groundspeed.models.compress.fake_quantization import (
    FoldedLayer,
    Normalization,
    Schedule,
    SharedRange,
)
from groundspeed.models.compress.scales import sites_by_scale
from groundspeed.models.compress.traced import traced

aten = torch.ops.aten

# All are called with input, weight, bias and more.
LAYERS = {
    aten.conv1d.default,
    aten.conv1d.padding,
    aten.conv2d.default,
    aten.conv2d.padding,
    aten.conv3d.default,
    aten.conv3d.padding,
    aten.linear.default,
}
TRANSPOSED = {
    aten.conv_transpose1d.default,
    aten.conv_transpose2d.input,
    aten.conv_transpose3d.input,
}

_ORIGIN = ("nn_module_stack", "stack_trace", "val")


def prepare_qat(
    network: nn.Module,
    inputs: Sequence[Tensor],
    *,
    schedule: Schedule | None = None,
    per_channel: bool = True,
) -> GraphModule:
    """Return a copy of a trained network that rounds its tensors to 8-bit integers as it trains.

    Weights are rounded symmetrically, with batch normalizations folded into them; activations to
    ranges that are learned as moving averages. Tensors that movement of data connects share one.
    Dropout is left out, and a batch normalization that no layer precedes keeps its statistics.

    Args:
        network: best trained already: it is fine-tuned then.
        inputs: examples, in order; their first dimension is the batch, which stays free.
        schedule: when rounding begins and statistics freeze.
        per_channel: whether each output channel of a weight has a scale of its own.

    Raises:
        SourceError: the network cannot be traced with a free batch.
    """
    graph_module = traced(network, inputs)
    schedule = schedule or Schedule()
    for node in list(graph_module.graph.nodes):
        if _is_layer(node):
            _insert_layer(graph_module, node, schedule, per_channel)
    for sites in sites_by_scale(graph_module.graph):
        _insert_range(graph_module, sites, schedule)
    graph_module.graph.eliminate_dead_code()
    # A new module takes over only what the graph reads.
    return GraphModule(graph_module, graph_module.graph).train()


def convert(network: GraphModule) -> GraphModule:
    """Return a network from :func:`prepare_qat` as plain ops, in evaluation mode.

    It computes the same as the trained one does in evaluation: weights are folded and rounded, and
    activations go through ``aten.fake_quantize_per_tensor_affine`` with the learned scales.
    """
    network = copy.deepcopy(network).eval()
    for node in list(network.graph.nodes):
        module = network.get_submodule(str(node.target)) if node.op == "call_module" else None
        with network.graph.inserting_before(node):
            if isinstance(module, FoldedLayer):
                made = _plain_layer(network, node, module)
            elif isinstance(module, SharedRange):
                target = aten.fake_quantize_per_tensor_affine.default
                arguments = (node.args[0], *module.parameters_of_grid())
                made = network.graph.call_function(target, arguments)
            else:
                continue
        _replace(node, made)
    return GraphModule(network, network.graph).eval()


# ---- layers --------------------------------------------------------------------------------------


def _is_layer(node: Node) -> bool:
    """Whether it is a layer whose weight and bias are its own, not computed."""
    return node.target in LAYERS | TRANSPOSED and all(map(_is_stored, node.args[1:3]))


def _is_stored(source: Any) -> bool:
    """Whether an argument is a tensor of the network, or left out."""
    return source is None or (isinstance(source, Node) and source.op == "get_attr")


def _insert_layer(
    graph_module: GraphModule, node: Node, schedule: Schedule, per_channel: bool
) -> None:
    source, weight, bias, *rest = node.args if len(node.args) > 2 else (*node.args, None)
    assert isinstance(node.target, OpOverload)
    behind = _normalization_behind(node)
    layer = FoldedLayer(
        node.target,
        tuple(rest),
        _parameter(graph_module, weight),
        None if bias is None else _parameter(graph_module, bias),
        normalization=None if behind is None else _normalization(graph_module, behind),
        axis=1 if node.target in TRANSPOSED else 0,
        per_channel=per_channel,
        schedule=schedule,
    )
    assert isinstance(weight, Node)
    place = str(weight.target).rpartition(".")[0]
    name = f"{place}.{node.name}".removeprefix(".")
    graph_module.add_submodule(name, layer)
    with graph_module.graph.inserting_before(node):
        made = graph_module.graph.call_module(name, (source,))
    _replace(node, made)
    if behind is not None:
        _replace(behind, made)


def _normalization_behind(node: Node) -> Node | None:
    """Return the batch normalization that alone reads a layer, over its output channels."""
    reader = next(iter(node.users)) if len(node.users) == 1 else None
    if reader is None or reader.target is not aten.batch_norm.default or node.target in TRANSPOSED:
        return None
    if node.target is aten.linear.default and node.meta["val"].dim() != 2:
        return None
    arguments = Call(reader).arguments
    sources = [arguments[name] for name in ("weight", "bias", "running_mean", "running_var")]
    has_statistics = None not in sources[2:] and not arguments["training"]
    return reader if has_statistics and all(map(_is_stored, sources)) else None


def _normalization(graph_module: GraphModule, node: Node) -> Normalization:
    arguments = Call(node).arguments
    mean, variance = (
        _tensor(graph_module, arguments[name]) for name in ("running_mean", "running_var")
    )
    gamma, beta = (
        None if arguments[name] is None else _parameter(graph_module, arguments[name])
        for name in ("weight", "bias")
    )
    return Normalization(
        gamma,
        beta,
        mean,
        variance,
        momentum=arguments["momentum"],
        epsilon=arguments["eps"],
    )


def _plain_layer(graph_module: GraphModule, node: Node, layer: FoldedLayer) -> Node:
    """Insert the op of a layer, with its weight as it came out of training."""
    plain = nn.Module()
    graph_module.add_submodule(str(node.target), plain)
    arguments: list[Any] = [node.args[0]]
    for name, tensor in zip(("weight", "bias"), layer.rounded(), strict=True):
        if tensor is None:
            arguments.append(None)
        else:
            plain.register_parameter(name, nn.Parameter(tensor.detach(), requires_grad=False))
            arguments.append(graph_module.graph.get_attr(f"{node.target}.{name}"))
    return graph_module.graph.call_function(layer.operation, (*arguments, *layer.rest))


def _parameter(graph_module: GraphModule, node: Any) -> nn.Parameter:
    tensor = _tensor(graph_module, node)
    # A parameter stays itself, so that layers that share it go on sharing it.
    return tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, False)


def _tensor(graph_module: GraphModule, node: Any) -> Tensor:
    path, _, name = str(node.target).rpartition(".")
    tensor = getattr(graph_module.get_submodule(path), name)
    assert isinstance(tensor, Tensor)
    return tensor


def _insert_range(graph_module: GraphModule, sites: Sequence[Node], schedule: Schedule) -> None:
    name = f"learned_ranges.{sites[0].name}"
    graph_module.add_submodule(name, SharedRange(len(sites), schedule))
    for index, site in enumerate(sites):
        with graph_module.graph.inserting_after(site):
            rounded = graph_module.graph.call_module(name, (site, index))
        rounded.meta.update({key: site.meta[key] for key in _ORIGIN if key in site.meta})
        site.replace_all_uses_with(rounded, functools.partial(operator.is_not, rounded))


def _replace(old: Node, new: Node) -> None:
    """Let ``new`` be computed in place of ``old``, in the name of the same line of source."""
    for key in _ORIGIN:
        if key in old.meta:
            new.meta.setdefault(key, old.meta[key])
    old.replace_all_uses_with(new)
    old.graph.erase_node(old)
