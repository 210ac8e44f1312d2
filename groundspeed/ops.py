"""What the ops of a network are called and what each costs on paper."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class OpKind(enum.StrEnum):
    """The vocabulary of tables, pictures and findings, shared by all rooms."""

    CONVOLUTION = "convolution"
    POINTWISE = "pointwise convolution"
    DEPTHWISE = "depthwise convolution"
    GROUP = "group convolution"
    TRANSPOSED = "transposed convolution"
    LINEAR = "linear"
    NORMALIZATION = "normalization"
    ACTIVATION = "activation"
    ELEMENTWISE = "element-wise"
    POOLING = "pooling"
    REDUCTION = "reduction"
    DATA_MOVEMENT = "data movement"
    QUANTIZE = "quantize/dequantize"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Op:
    """One op of the canonical graph: a node of the folded network's ``torch.export`` graph.

    Attributes:
        name: the node's name, unique in the network; equals the name of its output tensor.
        kind: what sort of work it is.
        module: dotted path of the innermost module in the user's network, "" for the root.
        line: ``file:line`` in the user's source that asked for it, "" when unknown.
        output_shape: shape of its (first) output.
        parameters: learned values that it reads (weights and biases).
        macs: multiply-accumulates of convolutions and linear layers; 0 for all others.
        flops: floating-point additions and multiplications, 2 per multiply-accumulate; for other
            ops the documented convention of :mod:`groundspeed.models.cost`.
        memory_bytes: memory access cost: bytes of every input, weight and output, each once.
        inputs: names of the ops whose results it reads; the network's inputs and its weights are
            no ops. Empty in manifests that were written before this was known.
    """

    name: str
    kind: OpKind
    module: str
    line: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    flops: int
    memory_bytes: int
    inputs: tuple[str, ...] = ()

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: FLOPs per byte of memory access, the roofline's abscissa."""
        return self.flops / self.memory_bytes if self.memory_bytes else 0.0
