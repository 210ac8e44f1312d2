"""The few fields of an ONNX file that profiling needs, without the onnx package.

An ONNX file is one protobuf message, ``ModelProto``. Two properties of the encoding are used: a
message is a flat list of (field number, value) pairs, and a parser merges a field that occurs
twice, so that text appended to a file adds to its graph
(https://protobuf.dev/programming-guides/encoding/#last-one-wins).
Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MODEL_GRAPH = 7
_MODEL_IR_VERSION, _MODEL_OPSET, _OPSET_VERSION = 1, 8, 2
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE = 1, 2, 3, 4
_VALUE_NAME = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Node:
    """One node of the graph: its name, op type and tensors (omitted ones left out)."""

    name: str
    type: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()


def nodes(model: bytes) -> tuple[Node, ...]:
    """Return the nodes of the main graph, in the file's order.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    return tuple(
        _node(node)
        for graph in _messages(memoryview(model), _MODEL_GRAPH)
        for node in _messages(graph, _GRAPH_NODE)
    )


def graph_outputs(model: bytes) -> tuple[str, ...]:
    """Return the names of the graph's outputs.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    return tuple(
        _text(name)
        for graph in _messages(memoryview(model), _MODEL_GRAPH)
        for value in _messages(graph, _GRAPH_OUTPUT)
        for name in _messages(value, _VALUE_NAME)
    )


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """Return the model with more tensors among its graph's outputs; their types are inferred."""
    values = (_field(_VALUE_NAME, name.encode()) for name in names)
    graph = b"".join(_field(_GRAPH_OUTPUT, value) for value in values)
    return model + _field(_MODEL_GRAPH, graph)


def chain(op: str, length: int) -> bytes:
    """Return a model that sends one float through ``length`` nodes of one type, "0" to the last.

    It computes next to nothing, so that running it shows what an engine costs by itself.
    """
    steps = [(str(index).encode(), str(index + 1).encode()) for index in range(length)]
    made = [
        _field(_NODE_INPUT, source) + _field(_NODE_OUTPUT, target) + _field(_NODE_TYPE, op.encode())
        for source, target in steps
    ]
    graph = [
        *(_field(_GRAPH_NODE, node) for node in made),
        _field(_GRAPH_NAME, b"chain"),
        _field(_GRAPH_INPUT, _scalar(b"0")),
        _field(_GRAPH_OUTPUT, _scalar(str(length).encode())),
    ]
    return (
        _number(_MODEL_IR_VERSION, 8)
        + _field(_MODEL_OPSET, _number(_OPSET_VERSION, 17))
        + _field(_MODEL_GRAPH, b"".join(graph))
    )


def _scalar(name: bytes) -> bytes:
    """Return a ValueInfoProto: its name, and the type tensor(float) of shape [1]."""
    shape = _field(1, _number(1, 1))
    return _field(_VALUE_NAME, name) + _field(2, _field(1, _number(1, 1) + _field(2, shape)))


def _node(message: memoryview) -> Node:
    return Node(
        name="".join(_text(name) for name in _messages(message, _NODE_NAME)),
        type="".join(_text(kind) for kind in _messages(message, _NODE_TYPE)),
        outputs=tuple(_text(name) for name in _messages(message, _NODE_OUTPUT) if len(name)),
        inputs=tuple(_text(name) for name in _messages(message, _NODE_INPUT) if len(name)),
    )


def _messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the length-delimited values of one field."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _varint(message, position)
            continue
        if kind == _BYTES:
            length, position = _varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {position}")
        if position + length > len(message):
            raise ValueError(f"a field of {length} bytes reaches beyond the end")
        if kind == _BYTES and tag >> 3 == number:
            yield message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a base-128 number and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("the file ends inside a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number has more than ten bytes")


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return _encoded(number << 3 | _BYTES) + _encoded(len(content)) + content


def _number(number: int, value: int) -> bytes:
    """Return a field that holds a non-negative number."""
    return _encoded(number << 3 | _VARINT) + _encoded(value)


def _encoded(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _text(content: memoryview) -> str:
    return bytes(content).decode("utf-8", "replace")
