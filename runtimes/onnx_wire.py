"""The little of an ONNX file that measuring needs, read without the onnx package.

ONNX files are protocol buffers (https://protobuf.dev/programming-guides/encoding); the field
numbers are those of onnx.proto3. Two things are done with them: the nodes are listed, and graph
outputs are added. The latter needs no parsing at all: a parser merges repeated occurrences of an
embedded message, so a second ``graph`` that holds only outputs can be written behind the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MODEL_GRAPH = 7
_GRAPH_NODE = 1
_GRAPH_OUTPUT = 12
_NODE_OUTPUT = 2
_NODE_NAME = 3
_NODE_TYPE = 4
_VALUE_NAME = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Node:
    """A node of the main graph: its name, its op and the names of its outputs."""

    name: str
    type: str
    outputs: tuple[str, ...]


def nodes(model: bytes) -> list[Node]:
    """Return the nodes of a model's main graph, in order of computation.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    return [
        _node(node)
        for field, graph in _fields(memoryview(model))
        if field == _MODEL_GRAPH
        for number, node in _fields(graph)
        if number == _GRAPH_NODE
    ]


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """Return the model with more graph outputs; the runtime infers their shapes."""
    values = (_message(_VALUE_NAME, name.encode()) for name in names)
    graph = b"".join(_message(_GRAPH_OUTPUT, value) for value in values)
    return model + _message(_MODEL_GRAPH, graph)


def _node(data: memoryview) -> Node:
    found: dict[int, list[str]] = {_NODE_OUTPUT: [], _NODE_NAME: [], _NODE_TYPE: []}
    for field, value in _fields(data):
        if field in found:
            found[field].append(str(value, "utf-8"))
    return Node(
        name="".join(found[_NODE_NAME]),
        type="".join(found[_NODE_TYPE]),
        outputs=tuple(name for name in found[_NODE_OUTPUT] if name),
    )


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and content of each embedded field; numbers are skipped over."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("a field reaches beyond the end")
            yield key >> 3, data[position : position + length]
            position += length
        elif kind == _VARINT:
            _, position = _varint(data, position)
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind} does not exist")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a number is cut short")


def _message(field: int, content: bytes) -> bytes:
    return _encode(field << 3 | _BYTES) + _encode(len(content)) + content


def _encode(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
