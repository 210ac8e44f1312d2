"""An ``.onnx`` file as a torch module: every node a submodule under the node's own name.

The graph is walked once with example inputs. What does not depend on the inputs (shapes,
constants, arithmetic on them) is computed there and then; the rest becomes a
:class:`OnnxOperator` each, so that a cost measured later is found under the node's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from torch import Tensor, nn

from groundspeed.errors import ExportError, SourceError
from groundspeed.export.onnx_node import ONNX_DOMAINS, OnnxNode, to_torch
from groundspeed.export.onnx_ops import OPS

OLDEST_OPSET = 6
# Ops whose result depends on the shape of their input only.
SHAPES = ("Shape", "Size")


class OnnxOperator(nn.Module):
    """One node of the ONNX graph; its learned inputs are its parameters.

    Args:
        node: the node.
        constants: position of an input -> value, for inputs that do not depend on the data.
    """

    def __init__(self, node: OnnxNode, constants: dict[int, Tensor]) -> None:
        super().__init__()
        self.node = node
        self._operands: dict[int, str] = {}
        names = OPS[node.op].weights
        for position, value in constants.items():
            name = names[position] if position < len(names) else ""
            name = name or f"input_{position}"
            self._operands[position] = name
            if value.is_floating_point():
                self.register_parameter(name, nn.Parameter(value, requires_grad=False))
            else:
                self.register_buffer(name, value)

    def forward(self, *given: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute the node's outputs from the inputs that depend on the data, in order."""
        rest = iter(given)
        operands: list[Tensor | None] = []
        for position, name in enumerate(self.node.inputs):
            if position in self._operands:
                operands.append(getattr(self, self._operands[position]))
            else:
                operands.append(next(rest) if name else None)
        return OPS[self.node.op].compute(self.node, *operands)


class OnnxNetwork(nn.Module):
    """A network read from ONNX; call it with the graph's inputs in order.

    Attributes:
        notes: what had to be decided when it was read, a sentence each.
    """

    def __init__(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.notes: tuple[str, ...] = ()
        self._inputs = inputs
        self._outputs = outputs
        self._order: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []

    def append(self, operator: OnnxOperator) -> str:
        """Add the operator that runs next; return the path that it was given."""
        node = operator.node
        *folders, leaf = _path(node.name)
        owner: nn.Module = self
        parts = []
        for folder in folders:
            if folder not in owner._modules:
                folder = _free(owner, folder)
                owner.add_module(folder, nn.Module())
            owner = owner.get_submodule(folder)
            parts.append(folder)
        leaf = _free(owner, leaf)
        owner.add_module(leaf, operator)
        path = ".".join([*parts, leaf])
        given = tuple(
            name for place, name in enumerate(node.inputs) if name and place not in node.constants
        )
        self._order.append((path, given, node.outputs))
        return path

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute the outputs of the graph: a tensor if there is one, else a tuple."""
        values = dict(zip(self._inputs, inputs, strict=True))
        for path, given, names in self._order:
            result = self.get_submodule(path)(*(values[name] for name in given))
            values.update(_named(names, result))
        outputs = tuple(values[name] for name in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def load_onnx(path: Path, *, seed: int = 0) -> tuple[OnnxNetwork, tuple[Tensor, ...]]:
    """Return the network in an ``.onnx`` file and random inputs of its shapes.

    Args:
        path: the file; external data is looked for beside it.
        seed: seed of the inputs.

    Raises:
        SourceError: there is no such file, or it is damaged, or it holds no usable network.
        UnsupportedOp: it has an op that is not known here, or used in a way that is not.
    """
    return from_onnx(read_onnx(path), seed=seed)


def read_onnx(path: Path) -> onnx.ModelProto:
    """Return the checked model in a file.

    Raises:
        SourceError: there is no such file, or it is damaged or no ONNX model.
    """
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    try:
        model = onnx.load(path)
        if not model.graph.node or not model.opset_import:
            raise SourceError(f"{path} holds no ONNX graph; it is another kind of file, or empty")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no details"
        raise SourceError(
            f"{path} is no ONNX model or was cut short ({reason}); write it again"
        ) from error
    return model


def from_onnx(model: onnx.ModelProto, *, seed: int = 0) -> tuple[OnnxNetwork, tuple[Tensor, ...]]:
    """Return a model as a network and random inputs of its shapes; see :func:`load_onnx`."""
    graph = model.graph
    opsets = {
        "" if entry.domain in ONNX_DOMAINS else entry.domain: entry.version
        for entry in model.opset_import
    }
    if opsets.get("", OLDEST_OPSET) < OLDEST_OPSET:
        raise SourceError(
            f"the model uses opset {opsets['']}, the oldest known here is {OLDEST_OPSET}; "
            "convert it with onnx.version_converter"
        )
    constants = {tensor.name: to_torch(tensor) for tensor in graph.initializer}
    declared = declared_inputs(graph)
    inputs, notes = example_inputs(model, seed=seed)
    network = OnnxNetwork(
        tuple(value.name for value in declared), tuple(value.name for value in graph.output)
    )
    network.notes = notes
    values = dict(zip((value.name for value in declared), inputs, strict=True))
    with torch.no_grad():
        for proto in graph.node:
            _add(network, OnnxNode.of(proto, opsets), constants, values)
    fixed = [value.name for value in graph.output if value.name not in values]
    if fixed:
        raise SourceError(f"output '{fixed[0]}' of the model does not depend on its inputs")
    return network.eval(), inputs


def _add(
    network: OnnxNetwork,
    node: OnnxNode,
    constants: dict[str, Tensor],
    values: dict[str, Tensor],
) -> None:
    """Compute a node, for good if it is constant, else as a part of ``network``."""
    if node.domain or node.op not in OPS:
        raise node.unsupported("the importer does not know it; export the network without it")
    known = {place: constants[name] for place, name in enumerate(node.inputs) if name in constants}
    node.constants.update({place: value.numpy() for place, value in known.items()})
    given = [values[name] for name in node.inputs if name and name not in constants]
    is_constant = not given or node.op in SHAPES
    if not is_constant:
        node, known = _as_torch_stores_it(node, known)
    operator = OnnxOperator(node, known)
    try:
        result = operator(*given)
    except ExportError:
        raise
    except Exception as error:
        raise node.unsupported(f"it fails on its inputs ({error})") from error
    if is_constant:
        constants.update(_named(node.outputs, result))
    else:
        network.append(operator)
        values.update(_named(node.outputs, result))


def _as_torch_stores_it(
    node: OnnxNode, constants: dict[int, Tensor]
) -> tuple[OnnxNode, dict[int, Tensor]]:
    """Return matrix multiplication by a constant with its weight as [out, in]."""
    weight = constants.get(1)
    if node.op not in ("Gemm", "MatMul") or weight is None or weight.dim() != 2:
        return node, constants
    if not node.get("transB", 0):
        weight = weight.t().contiguous()
    constants = {**constants, 1: weight}
    bias = constants.get(2)
    if bias is not None and bias.dim() == 2 and bias.shape[0] == 1:
        constants[2] = bias[0]
    attributes = {**node.attributes, "transB": 1}
    return replace(node, attributes=attributes), constants


def declared_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs of a graph; older files list their weights among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def example_inputs(
    model: onnx.ModelProto, *, seed: int = 0
) -> tuple[tuple[Tensor, ...], tuple[str, ...]]:
    """Return random inputs of a model's shapes, and what had to be decided for them.

    Raises:
        SourceError: an input has no fixed shape, or is not floating point.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, notes = [], []
    for value in declared_inputs(model.graph):
        sizes = []
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.dim_value and axis > 0:
                raise SourceError(
                    f"axis {axis} of input '{value.name}' has no fixed size; export the model "
                    "with fixed sizes (only the batch may be free: it becomes 1)"
                )
            if not size.dim_value:
                notes.append(f"the free batch of input '{value.name}' was fixed to 1")
            sizes.append(size.dim_value or 1)
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        dtype = getattr(torch, str(kind), None)
        if dtype is None or not dtype.is_floating_point:
            raise SourceError(
                f"input '{value.name}' is {kind}; only floating point can be imported"
            )
        inputs.append(torch.randn(sizes, generator=generator).to(dtype))
    return tuple(inputs), tuple(notes)


def _named(
    names: tuple[str, ...], result: Tensor | tuple[Tensor, ...]
) -> Iterator[tuple[str, Any]]:
    """Yield name and value of the outputs that were computed and have a name."""
    tensors = result if isinstance(result, tuple) else (result,)
    return ((name, tensor) for name, tensor in zip(names, tensors, strict=False) if name)


def _path(name: str) -> list[str]:
    """Split a node's name at its slashes and dots into names of modules."""
    parts = [re.sub(r"\W", "_", part) for part in re.split(r"[/.]", name) if part]
    return parts or ["node"]


def _free(owner: nn.Module, name: str) -> str:
    """Return ``name``, or with a number behind it if ``owner`` has such an attribute."""
    unique, count = name, 0
    while hasattr(owner, unique):
        count += 1
        unique = f"{name}_{count}"
    return unique
