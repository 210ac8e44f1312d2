"""One ONNX node, as the functions of :mod:`groundspeed.export.onnx_ops` see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from groundspeed.errors import UnsupportedOp

Array = NDArray[np.generic]
ONNX_DOMAINS = ("", "ai.onnx")


@dataclass
class OnnxNode:
    """A node with its attributes in Python and the inputs that are known before running.

    Attributes:
        op: op type ("Conv").
        name: the node's name, or that of its first output.
        domain: op set domain, "" for ONNX's own.
        opset: version of that domain's op set that the model asks for.
        attributes: name -> int, float, str, list or tensor.
        inputs: names of inputs, "" for one left out.
        outputs: names of outputs.
        constants: position of an input -> its value, for those that do not depend on the
            network's inputs; numpy, since what is read from them must not become ops of the graph.
    """

    op: str
    name: str
    domain: str
    opset: int
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[int, Array] = field(default_factory=dict)

    @staticmethod
    def of(proto: onnx.NodeProto, opsets: dict[str, int]) -> OnnxNode:
        """Return the node of ``proto`` in a model with ``opsets`` (domain -> version)."""
        domain = "" if proto.domain in ONNX_DOMAINS else proto.domain
        return OnnxNode(
            op=proto.op_type,
            name=proto.name or next(filter(None, proto.output), proto.op_type),
            domain=domain,
            opset=opsets.get(domain, 1),
            attributes={attribute.name: _value(attribute) for attribute in proto.attribute},
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
        )

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or ``default``."""
        return self.attributes.get(name, default)

    def constant(self, position: int) -> Array | None:
        """Return an input that must be known before running; None if it was left out.

        Raises:
            UnsupportedOp: it depends on the network's inputs.
        """
        if position >= len(self.inputs) or not self.inputs[position]:
            return None
        if position not in self.constants:
            raise self.unsupported(f"its input '{self.inputs[position]}' depends on the data")
        return self.constants[position]

    def integers(self, position: int, attribute: str) -> list[int] | None:
        """Return integers that older op sets have as an attribute and newer ones as an input."""
        if attribute in self.attributes:
            value = self.attributes[attribute]
            return [value] if isinstance(value, int) else list(value)
        array = self.constant(position)
        return None if array is None else [int(item) for item in array.ravel().tolist()]

    def unsupported(self, reason: str) -> UnsupportedOp:
        """Return the error for this node; ``reason`` ends the sentence."""
        domain = f"{self.domain}." if self.domain else ""
        return UnsupportedOp(
            f"ONNX op {domain}{self.op} (node '{self.name}', opset {self.opset}) cannot be "
            f"imported: {reason}"
        )


def _value(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return to_torch(value)
    if isinstance(value, onnx.GraphProto | onnx.SparseTensorProto):
        return value
    return list(value) if not isinstance(value, int | float | str) else value


def to_torch(tensor: onnx.TensorProto) -> torch.Tensor:
    """Return the values of an ONNX tensor."""
    return torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
