"""An ONNX file with integers without what makes it large and says nothing.

Beside the weights of a small network, names and zeros count: they are a fiftieth of MobileNetV2.
"""

from __future__ import annotations

from collections.abc import Callable

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# What ONNX Runtime's quantizer appends to names, and what they become.
SHORT = {
    "_QuantizeLinear_Output": "_q",
    "_DequantizeLinear_Output": "_dq",
    "_quantized": "_q",
    "_zero_point": "_zero",
}
QDQ = ("QuantizeLinear", "DequantizeLinear")


def slim(model: ModelProto) -> None:
    """Shorten names, drop what is the default, and keep equal constants once; in place."""
    graph = model.graph
    del graph.value_info[:]
    biases = {each.name for each in graph.initializer if each.data_type == TensorProto.INT32}
    for node in graph.node:
        if node.op_type in QDQ:
            node.name = ""
            if node.op_type == "DequantizeLinear" and node.input[0] in biases:
                del node.input[2:]  # none means 0; of weights, ONNX Runtime wants to see it
    _keep_once(graph)
    _rename(graph, _shortened)


def _keep_once(graph: GraphProto) -> None:
    """Let equal constants be one, and drop those that nobody reads."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for constant in graph.initializer:
        content = TensorProto()
        content.CopyFrom(constant)
        content.ClearField("name")
        same[constant.name] = first.setdefault(content.SerializeToString(), constant.name)
    for node in graph.node:
        _exchange(node, lambda name: same.get(name, name))
    read = {name for node in graph.node for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _rename(graph: GraphProto, rename: Callable[[str], str]) -> None:
    ends = {value.name for value in (*graph.input, *graph.output)}
    for node in graph.node:
        _exchange(node, lambda name: name if name in ends else rename(name))
    for constant in graph.initializer:
        constant.name = rename(constant.name)


def _exchange(node: NodeProto, rename: Callable[[str], str]) -> None:
    node.input[:] = map(rename, node.input)
    node.output[:] = map(rename, node.output)


def _shortened(name: str) -> str:
    for long, short in SHORT.items():
        name = name.replace(long, short)
    return name
