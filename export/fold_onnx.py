"""Batch normalization folded in an ONNX graph, without a way through torch.

For models with ops that :mod:`groundspeed.export.from_onnx` does not know: they can still be
folded and run by ONNX Runtime. The rules are those of :mod:`groundspeed.export.fold`: only what
is exact, and a reason for everything that stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import onnx
from torch import Tensor

from groundspeed.errors import ExportError
from groundspeed.export.affine import Affine, Linearity, is_zero
from groundspeed.export.fold import Folded, Kept
from groundspeed.export.onnx_node import ONNX_DOMAINS, OnnxNode, to_torch
from groundspeed.export.onnx_ops import OPS

WEIGHTED = ("Conv", "ConvTranspose", "Gemm")


class _NotExact(Exception):
    """Folding this one would change what the network computes; the message says why."""


def fold_onnx(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Folded]:
    """Return a copy of ``model`` with its batch normalization folded, and what was folded."""
    folder = _Folder(model)
    return folder.run()


class _Folder:
    """A copy of a model while it is edited, with its constants and who reads what."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.graph = self.model.graph
        self.opsets = {
            "" if entry.domain in ONNX_DOMAINS else entry.domain: entry.version
            for entry in model.opset_import
        }
        self.constants = self._find_constants()
        self.made: dict[str, Tensor] = {}

    def run(self) -> tuple[onnx.ModelProto, Folded]:
        count = 0
        kept = []
        for node in [node for node in self.graph.node if node.op_type == "BatchNormalization"]:
            try:
                self._fold(node)
                count += 1
            except _NotExact as reason:
                kept.append(Kept(node.name or node.output[0], str(reason)))
        self._finish()
        return self.model, Folded(count, tuple(kept))

    def _find_constants(self) -> dict[str, Tensor]:
        """Return initializers and whatever small nodes compute from constants alone."""
        constants = {tensor.name: to_torch(tensor) for tensor in self.graph.initializer}
        for proto in self.graph.node:
            known = [constants.get(name) for name in proto.input if name]
            if proto.op_type not in OPS or any(value is None for value in known):
                continue
            node = OnnxNode.of(proto, self.opsets)
            node.constants = {
                place: constants[name].numpy() for place, name in enumerate(node.inputs) if name
            }
            try:
                result = OPS[node.op].compute(node, *known)
            except ExportError:
                continue  # not known to the importer: then it is no constant to fold with either
            outputs = result if isinstance(result, tuple) else (result,)
            constants.update(zip(node.outputs, outputs, strict=False))
        return constants

    def _fold(self, node: onnx.NodeProto) -> None:
        affine = self._affine(node)
        producer = next((other for other in self.graph.node if node.input[0] in other.output), None)
        if producer is not None and producer.op_type in WEIGHTED:
            if self._readers(node.input[0]) != 1:
                raise _NotExact(
                    f"follows {_name(producer)}, whose output is also read unnormalized"
                )
            self._set(producer, self._linearity(producer).then(affine))
            self.graph.node.remove(node)
            producer.output[0] = node.output[0]
        else:
            self._fold_into_readers(node, affine)

    def _fold_into_readers(self, node: onnx.NodeProto, affine: Affine) -> None:
        readers = [other for other in self.graph.node if node.output[0] in other.input]
        if not readers or self._readers(node.output[0]) != len(readers):
            raise _NotExact("computes an output of the network")
        folded = []
        for reader in readers:
            if reader.op_type not in WEIGHTED or reader.input[0] != node.output[0]:
                raise _NotExact(
                    f"comes before {_name(reader)}, which cannot take its scale and shift in"
                )
            if not is_zero(affine.shift) and _pads(OnnxNode.of(reader, self.opsets)):
                raise _NotExact(
                    f"comes before {_name(reader)}, which pads with zeros: at the border the "
                    "shift would be lost"
                )
            folded.append(self._linearity(reader).after(affine))
        for reader, linearity in zip(readers, folded, strict=True):
            self._set(reader, linearity)
            reader.input[0] = node.input[0]
        self.graph.node.remove(node)

    def _affine(self, node: onnx.NodeProto) -> Affine:
        attributes = OnnxNode.of(node, self.opsets)
        if attributes.get("training_mode", 0) or len([name for name in node.output if name]) > 1:
            raise _NotExact("normalizes with the statistics of the batch")
        learned = [self.constants.get(name) for name in node.input[1:5]]
        if any(value is None for value in learned):
            raise _NotExact("has computed weights or statistics")
        scale, shift, mean, variance = learned
        assert mean is not None
        assert variance is not None
        return Affine.of_batchnorm(scale, shift, mean, variance, attributes.get("epsilon", 1e-5))

    def _linearity(self, node: onnx.NodeProto) -> Linearity:
        """Read a node's weight, a Gemm's as [out, in]."""
        attributes = OnnxNode.of(node, self.opsets)
        tensors = [self.constants.get(name) for name in node.input[1:] if name]
        if any(value is None for value in tensors):
            raise _NotExact(f"meets {_name(node)}, whose weight is computed")
        weight, bias = tensors[0], tensors[1] if len(tensors) > 1 else None
        assert weight is not None
        if node.op_type != "Gemm":
            transposed = node.op_type == "ConvTranspose"
            return Linearity(weight, bias, attributes.get("group", 1), transposed)
        if attributes.get("transA", 0) or (bias is not None and bias.dim() > 1):
            raise _NotExact(f"meets {_name(node)}, which is no plain linear layer")
        alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
        weight = weight if attributes.get("transB", 0) else weight.t()
        bias = None if bias is None else (bias * beta).expand(weight.shape[0])
        return Linearity(weight * alpha, bias)

    def _set(self, node: onnx.NodeProto, linearity: Linearity) -> None:
        """Give a node a weight and bias of its own; tensors that others share stay as they are."""
        inputs = [node.input[0], self._add(f"{_name(node)}.weight", linearity.weight)]
        if linearity.bias is not None:
            inputs.append(self._add(f"{_name(node)}.bias", linearity.bias))
        del node.input[:]
        node.input.extend(inputs)
        if node.op_type == "Gemm":
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("transB", 1))

    def _add(self, name: str, value: Tensor) -> str:
        unique, count = name, 0
        while unique in self.constants:
            count += 1
            unique = f"{name}_{count}"
        self.constants[unique] = self.made[unique] = value
        return unique

    def _readers(self, name: str) -> int:
        return self._uses()[name]

    def _uses(self) -> Counter[str]:
        """Count how often each tensor is read, by nodes or as an output of the network."""
        uses = Counter(name for node in self.graph.node for name in node.input)
        for node in self.graph.node:
            uses.update(_read_inside(node))
        uses.update(value.name for value in self.graph.output)
        return uses

    def _finish(self) -> None:
        """Write the weights that are still read, and drop the nodes and tensors that are not."""
        while True:
            uses = self._uses()
            dead = [node for node in self.graph.node if not any(uses[name] for name in node.output)]
            if not dead:
                break
            for node in dead:
                self.graph.node.remove(node)
        for name, value in self.made.items():
            if uses[name]:
                array = value.contiguous().numpy()
                self.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        weights = {tensor.name for tensor in self.graph.initializer}
        for tensor in [tensor for tensor in self.graph.initializer if not uses[tensor.name]]:
            self.graph.initializer.remove(tensor)
        # Before IR version 4 every initializer is listed as an input too.
        for value in [value for value in self.graph.input if value.name in weights]:
            if not uses[value.name]:
                self.graph.input.remove(value)
        if self.model.ir_version < 4:
            self._declare(tensor for tensor in self.graph.initializer if tensor.name in self.made)

    def _declare(self, tensors: Iterable[onnx.TensorProto]) -> None:
        for tensor in tensors:
            self.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )


def _read_inside(node: onnx.NodeProto) -> Iterable[str]:
    """Yield what the branches and bodies of control flow read, perhaps from outside."""
    for attribute in node.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from _read_inside(inner)


def _name(node: onnx.NodeProto) -> str:
    return str(node.name or node.output[0])


def _pads(node: OnnxNode) -> bool:
    """Whether some output of a convolution sums over fewer taps than others."""
    if node.op == "ConvTranspose":
        return True
    return node.get("auto_pad", "NOTSET").startswith("SAME") or any(node.get("pads") or [])
