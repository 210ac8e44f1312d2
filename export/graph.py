"""Reading and editing the ``torch.fx`` graph of a traced network.

The graphs come from ``ExportedProgram.module()``: aten calls only, weights as ``get_attr`` nodes
named by their path in the user's network, and on every call the module path
(``nn_module_stack``), the source line (``stack_trace``) and the output's shape and dtype (``val``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

ORIGIN = ("nn_module_stack", "stack_trace", "torch_fn", "from_node")


def editable(program: ExportedProgram) -> GraphModule:
    """Return the program's network as a graph that may be edited; the program stays as it is."""
    graph_module = program.module(check_guards=False)
    assert isinstance(graph_module, GraphModule)
    return graph_module


def shape(node: Node) -> tuple[int, ...]:
    """Return the shape of what ``node`` computes."""
    return tuple(int(size) for size in node.meta["val"].shape)


def value_name(node: Node) -> str:
    """Return the name of what ``node`` computes, as the program lists it.

    A graph made from a program renames inputs that are called like a function of Python's own.
    """
    return str(node.target) if node.op == "placeholder" else node.name


def module_path(node: Node) -> str:
    """Return the dotted path of the user's innermost module that ``node`` stems from, "" for root.

    A module that is called twice has a path such as ``conv@1`` for the second call.
    """
    stack = node.meta.get("nn_module_stack") or {}
    path = str(next(reversed(stack.values()))[0]) if stack else ""
    return path.removeprefix("L['self'].")


def calls(graph_module: GraphModule, *targets: Callable[..., Any]) -> Iterator[Node]:
    """Yield the calls of ``targets`` in order of computation; the graph may be edited between."""
    for node in list(graph_module.graph.nodes):
        if node.op == "call_function" and node.target in targets:
            yield node


def argument(node: Node, name: str) -> Any:
    """Return an argument of an aten call by its name in the op's schema, or its default."""
    assert isinstance(node.target, torch._ops.OpOverload)
    for position, declared in enumerate(node.target._schema.arguments):
        if declared.name == name:
            if position < len(node.args):
                return node.args[position]
            return node.kwargs.get(name, declared.default_value)
    raise AssertionError(f"{node.target} has no argument {name}")


def call(
    graph_module: GraphModule, target: Callable[..., Any], arguments: Sequence[Any], origin: Node
) -> Node:
    """Insert a call at the graph's insertion point, on behalf of ``origin``.

    The new node takes over the module path and source line of ``origin``; its shape and dtype are
    computed on the fake tensors of its inputs.
    """
    node = graph_module.graph.call_function(target, tuple(arguments))
    node.meta.update({key: origin.meta[key] for key in ORIGIN if key in origin.meta})
    values = torch.fx.node.map_arg(node.args, lambda input: input.meta["val"])
    node.meta["val"] = target(*values)
    return node


def replace(old: Node, new: Node) -> None:
    """Let everything that read ``old`` read ``new``, which computes the same, and drop ``old``."""
    if "custom" in old.meta:  # notes about the values, such as a range that was learned
        new.meta["custom"] = old.meta["custom"]
    old.replace_all_uses_with(new, propagate_meta=False)
    old.graph.erase_node(old)


def weight(graph_module: GraphModule, node: Node) -> torch.Tensor:
    """Return the tensor that a ``get_attr`` node reads."""
    path, _, name = str(node.target).rpartition(".")
    tensor = getattr(graph_module.get_submodule(path), name)
    assert isinstance(tensor, torch.Tensor)
    return tensor.detach()


def constant(graph_module: GraphModule, node: Node) -> torch.Tensor | None:
    """Return what ``node`` computes if it depends on weights and literals only, else None."""
    if node.op == "get_attr":
        return weight(graph_module, node)
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or target._schema.is_mutable:
        return None
    inputs = {source: constant(graph_module, source) for source in node.all_input_nodes}
    if any(value is None for value in inputs.values()):
        return None
    arguments = torch.fx.node.map_arg(node.args, inputs.get)
    result = target(*arguments, **node.kwargs)
    return result if isinstance(result, torch.Tensor) else None


def set_weight(
    graph_module: GraphModule,
    name: str,
    value: torch.Tensor,
    *,
    user: Node,
) -> Node:
    """Return a node that reads ``value`` as a parameter, for ``user`` to take as an argument.

    Args:
        graph_module: where the parameter goes.
        name: dotted path it should have; ``name_1``, ``name_2``, … where another op still reads
            a tensor of that name, for a weight that is shared must stay as it is for the others.
        value: the parameter's value.
        user: the call that will read it.
    """
    graph = graph_module.graph
    taken = {
        str(node.target)
        for node in graph.nodes
        if node.op == "get_attr" and any(reader is not user for reader in node.users)
    }
    unique, count = name, 0
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    path, _, leaf = unique.rpartition(".")
    owner: torch.nn.Module = graph_module
    for part in path.split(".") if path else ():
        if not hasattr(owner, part):
            owner.add_module(part, torch.nn.Module())
        owner = getattr(owner, part)
    if hasattr(owner, leaf):
        delattr(owner, leaf)
    owner.register_parameter(leaf, torch.nn.Parameter(value, requires_grad=False))
    with graph.inserting_before(user):
        node = graph.get_attr(unique)
    mode = user.meta["val"].fake_mode
    node.meta["val"] = mode.from_tensor(value, static_shapes=True)
    return node


def remove_unused(graph_module: GraphModule) -> None:
    """Drop calls whose results nobody reads, and weights that no call reads."""
    # In-place calls count as impure; what they write to is read elsewhere if it matters at all.
    graph_module.graph.eliminate_dead_code()
    used = {str(node.target) for node in graph_module.graph.nodes if node.op != "call_function"}
    for name, _ in [*graph_module.named_parameters(remove_duplicate=False)]:
        _delete_unless(name in used, graph_module, name)
    for name, _ in [*graph_module.named_buffers(remove_duplicate=False)]:
        _delete_unless(name in used, graph_module, name)
    graph_module.recompile()


def _delete_unless(used: bool, graph_module: GraphModule, name: str) -> None:
    if not used:
        path, _, leaf = name.rpartition(".")
        delattr(graph_module.get_submodule(path), leaf)
