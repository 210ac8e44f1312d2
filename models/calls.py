"""A node of an exported graph as its cost needs it: which op, on tensors of which shapes."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import Node

from groundspeed.errors import SourceError


@dataclass(frozen=True)
class TensorSize:
    """A tensor of the graph.

    Attributes:
        name: name of the node that gives it.
        shape: its dimensions.
        bytes: bytes of its elements.
    """

    name: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Call:
    """One call of an op."""

    node: Node

    @property
    def op(self) -> str:
        """Name of the op: "relu" for ``aten.relu.default`` and for the in-place ``aten.relu_``.

        Ops from elsewhere keep their namespace, "torchvision::nms".
        """
        if not isinstance(self.node.target, torch._ops.OpOverload):
            return getattr(self.node.target, "__name__", str(self.node.target))
        namespace, _, name = self.node.target._schema.name.partition("::")
        return name.removesuffix("_") if namespace == "aten" else f"{namespace}::{name}"

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments by their names in the op's schema, defaults included."""
        target = self.node.target
        assert isinstance(target, torch._ops.OpOverload)
        schema = target._schema.arguments
        defaults = {each.name: each.default_value for each in schema if each.has_default_value()}
        given = dict(zip((each.name for each in schema), self.node.args, strict=False))
        return {**defaults, **given, **self.node.kwargs}

    @functools.cached_property
    def inputs(self) -> tuple[TensorSize, ...]:
        """Its input tensors, weights included, each once."""
        return tuple(size for node in self.node.all_input_nodes for size in _sizes(node))

    @functools.cached_property
    def outputs(self) -> tuple[TensorSize, ...]:
        """Its output tensors; empty for arithmetic on sizes."""
        return _sizes(self.node)

    @property
    def output(self) -> TensorSize:
        """Its first output tensor."""
        return self.outputs[0]

    def tensor(self, argument: str) -> TensorSize:
        """Return the tensor that is given as an argument."""
        return _sizes(self.arguments[argument])[0]


def _sizes(node: Node) -> tuple[TensorSize, ...]:
    if node.op == "get_attr":  # the body of a control-flow op, no tensor
        return ()
    if "val" not in node.meta:
        raise SourceError(
            f"the op '{node.name}' of the graph has no shape; make the program with "
            "torch.export.export, and keep the metadata of nodes when changing it"
        )
    value = node.meta["val"]
    values = value if isinstance(value, tuple | list) else [value]
    return tuple(_size(node.name, each) for each in values if isinstance(each, torch.Tensor))


def _size(name: str, tensor: torch.Tensor) -> TensorSize:
    shape = tuple(_dimension(name, each) for each in tensor.shape)
    return TensorSize(name, shape, math.prod(shape) * tensor.element_size())


def _dimension(name: str, dimension: int | torch.SymInt) -> int:
    """Return a dimension; one that was exported as dynamic has the size of the example input."""
    if isinstance(dimension, int):
        return dimension
    if dimension.node.hint is None:
        raise SourceError(
            f"a dimension of '{name}' depends on the values of the input, so its cost is unknown; "
            "export a network whose shapes are fixed"
        )
    return int(dimension.node.hint)
