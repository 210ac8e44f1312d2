"""The operators of a TFLite file as quantization sees them: what moves, what computes, on what.

Read from the file itself, since an interpreter does not give the values of weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import qtyping
from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer
from numpy.typing import NDArray

from groundspeed.quantization import Range

_KINDS = {
    code: name for name, code in vars(qtyping.BuiltinOperator).items() if isinstance(code, int)
}

# What they give lies among the values that they take (or is padding): one range serves both.
MOVING = frozenset(
    {
        "AVERAGE_POOL_2D",
        "BATCH_TO_SPACE_ND",
        "BROADCAST_TO",
        "CONCATENATION",
        "DEPTH_TO_SPACE",
        "EXPAND_DIMS",
        "GATHER",
        "GATHER_ND",
        "MAX_POOL_2D",
        "MIRROR_PAD",
        "PACK",
        "PAD",
        "PADV2",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SLICE",
        "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SPLIT_V",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TILE",
        "TRANSPOSE",
        "UNPACK",
    }
)

# What an operator's results cannot leave, whatever it reads. The first three have fixed scales.
_BOUNDS = {
    "LOGISTIC": Range(low=0.0, high=1.0),
    "SOFTMAX": Range(low=0.0, high=1.0),
    "TANH": Range(low=-1.0, high=1.0),
    "RELU6": Range(low=0.0, high=6.0),
    "RELU_0_TO_1": Range(low=0.0, high=1.0),
    "RELU_N1_TO_1": Range(low=-1.0, high=1.0),
}
_ACTIVATIONS = {code: name for name, code in vars(qtyping.ActivationFunctionType).items()}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a convolution or linear multiplies by and adds.

    Attributes:
        name: name of the weight tensor.
        values: the weight, in the order of the file.
        axis: its dimension that counts output channels.
        bias: one value for each output channel, None if it adds nothing.
    """

    name: str
    values: NDArray[np.float32]
    axis: int
    bias: NDArray[np.float32] | None

    @property
    def other_axes(self) -> tuple[int, ...]:
        """All dimensions but that of the output channels."""
        return tuple(axis for axis in range(self.values.ndim) if axis != self.axis)


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """One operator of the file.

    Attributes:
        kind: in the words of the schema ("CONV_2D").
        known_as: what ai-edge-quantizer calls the kind; None if it does not know it.
        scope: what ai-edge-quantizer's recipes know the operator by.
        inputs: names of the float tensors that it reads and that are no constants.
        outputs: names of the float tensors that it computes.
        weights: None unless it has weights with output channels.
        bounds: what its results cannot leave, whatever it reads; None if there is no such limit.
        nested: whether it belongs to another graph than the main one, as a loop's body does.
    """

    kind: str
    known_as: qtyping.TFLOperationName | None
    scope: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Weights | None
    bounds: Range | None
    nested: bool

    @property
    def ends(self) -> tuple[str, ...]:
        """Inputs and outputs."""
        return (*self.inputs, *self.outputs)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A TFLite file.

    Attributes:
        operators: in order of execution.
        inputs: name of each float tensor that the file takes -> its name in the signature.
        outputs: likewise of those that it gives.
        ends: the scopes of all that it takes and of all that it gives, by what
            ai-edge-quantizer calls the two.
    """

    operators: tuple[Operator, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]
    ends: dict[qtyping.TFLOperationName, str]


def read(path: Path) -> Graph:
    """Read the float file at ``path``."""
    model = flatbuffer.read_model(path.read_bytes())
    operators = tuple(
        _Reader(model, subgraph, nested=index > 0).operator(operator)
        for index, subgraph in enumerate(model.subgraphs)
        for operator in subgraph.operators
    )
    main = _Reader(model, model.subgraphs[0], nested=False)
    signature = model.signatureDefs[0]
    return Graph(
        operators=operators,
        inputs=dict(main.ends(signature.inputs)),
        outputs=dict(main.ends(signature.outputs)),
        ends={
            end.op_key: flatbuffer.get_op_scope(end, main.tensors)
            for end in flatbuffer.get_subgraph_input_output_operators(model.subgraphs[0])
        },
    )


def spread(operators: Iterable[Operator], ties: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return tensor -> the canonical ops whose values it holds, by ties and by data movement.

    A tensor that is not tied holds what it was moved from, or what is moved from it.
    """
    moving = [operator for operator in operators if operator.kind in MOVING]
    held = {tensor: frozenset({op}) for tensor, op in ties.items()}
    before = -1
    while len(held) != before:
        before = len(held)
        for operator in moving:
            _take(held, operator.outputs, operator.inputs)
        for operator in reversed(moving):
            _take(held, operator.inputs, operator.outputs)
    return held


def _take(held: dict[str, frozenset[str]], to: Iterable[str], sources: tuple[str, ...]) -> None:
    """Let the tensors of one side of an operator that hold nothing yet have the other side's."""
    if not sources or any(source not in held for source in sources):
        return
    ops = frozenset[str]().union(*(held[source] for source in sources))
    for tensor in to:
        held.setdefault(tensor, ops)


def _bounds(kind: str, options: Any) -> Range | None:
    fused = _ACTIVATIONS.get(getattr(options, "fusedActivationFunction", None))
    return _BOUNDS.get(kind) or _BOUNDS.get(fused or "")


class _Reader:
    """Reads operators of one graph of a file."""

    def __init__(self, model: Any, subgraph: Any, *, nested: bool) -> None:
        self.tensors = subgraph.tensors
        self._model = model
        self._nested = nested

    def operator(self, operator: Any) -> Operator:
        """Return what the flatbuffer says of an operator."""
        code = self._model.operatorCodes[operator.opcodeIndex].builtinCode
        known_as = flatbuffer.TFL_OP_CODE_TO_NAME.get(code)
        return Operator(
            kind=_KINDS[code],
            known_as=known_as,
            scope=flatbuffer.get_op_scope(operator, self.tensors),
            inputs=tuple(self._floats(operator.inputs)),
            outputs=tuple(self._floats(operator.outputs)),
            weights=self._weights(operator, known_as),
            bounds=_bounds(_KINDS[code], operator.builtinOptions),
            nested=self._nested,
        )

    def ends(self, signature: Iterable[Any]) -> Iterator[tuple[str, str]]:
        """Yield the name of each float tensor of a signature, with its name there."""
        for item in signature:
            for name in self._floats([item.tensorIndex]):
                yield name, item.name.decode()

    def _floats(self, indices: Iterable[int]) -> Iterator[str]:
        for index in indices:
            # An optional input that is not given has the index -1.
            if index < 0 or self._values(index) is not None:
                continue
            if self.tensors[index].type == qtyping.TensorType.FLOAT32:
                yield flatbuffer.get_tensor_name(self.tensors[index])

    def _weights(self, operator: Any, known_as: qtyping.TFLOperationName | None) -> Weights | None:
        axis = flatbuffer.TFL_OP_TO_WEIGHT_QUANTIZED_DIM.get(known_as)
        if axis is None:
            return None
        # The weight is the second input everywhere; a bias comes last, if at all.
        values = self._values(operator.inputs[1])
        if values is None:
            return None
        bias_at = 3 if known_as == qtyping.TFLOperationName.CONV_2D_TRANSPOSE else 2
        bias = operator.inputs[bias_at] if len(operator.inputs) > bias_at else -1
        return Weights(
            name=flatbuffer.get_tensor_name(self.tensors[operator.inputs[1]]),
            values=values,
            axis=axis,
            bias=self._values(bias) if bias >= 0 else None,
        )

    def _values(self, index: int) -> NDArray[Any] | None:
        data: NDArray[Any] | None = flatbuffer.get_tensor_data(
            self.tensors[index], self._model.buffers
        )
        return data
