"""The words that engines use for their ops, put into ours."""

from __future__ import annotations

import re

from groundspeed.measurement import ProfiledOp
from groundspeed.ops import OpKind

# The first pattern found in the word (lower case, without blanks and underscores) decides. One
# table serves all engines: they spell the same few words in different ways.
_WORDS: tuple[tuple[str, OpKind], ...] = (
    (r"matmul", OpKind.LINEAR),
    (r"quant|qdq|^convert.*q[sud]+8", OpKind.QUANTIZE),
    (r"deconv|convtranspose|transposeconv|transposedconv", OpKind.TRANSPOSED),
    (
        r"transpose|permute|shuffle|reorder|packing|memcpy|copy|clone|cast|convert\(",
        OpKind.DATA_MOVEMENT,
    ),
    (
        r"concat|split|slice|crop|gather|scatter|select|tile|expand|constantpad|^pad",
        OpKind.DATA_MOVEMENT,
    ),
    (
        r"reshape|squeeze|flatten|identity|noop|memorydata|depthtospace|spacetodepth",
        OpKind.DATA_MOVEMENT,
    ),
    (r"dwconv|depthwise", OpKind.DEPTHWISE),
    (r"pointwise", OpKind.POINTWISE),
    (r"conv", OpKind.CONVOLUTION),
    (r"fullyconnected|innerproduct|gemm|linear", OpKind.LINEAR),
    (r"pool", OpKind.POOLING),
    (r"batchnorm|layernorm|groupnorm|instancenorm|lrn|normalize", OpKind.NORMALIZATION),
    (r"redu|^mean|^sum|argmax|argmin", OpKind.REDUCTION),
    (r"relu|clip|clamp|sigmoid|swish|silu|gelu|elu|tanh|softmax|mish|logistic", OpKind.ACTIVATION),
    (
        r"add|sub|mul|div|binary|unary|eltwise|elementwise|maximum|minimum|^max$|^min$|pow|sqrt|exp",
        OpKind.ELEMENTWISE,
    ),
)

_CONVERT = re.compile(r"Convert|Copy")

# What multiplies a weight by an activation: the kinds that have MACs.
WITH_MACS = frozenset(
    {
        OpKind.CONVOLUTION,
        OpKind.POINTWISE,
        OpKind.DEPTHWISE,
        OpKind.GROUP,
        OpKind.TRANSPOSED,
        OpKind.LINEAR,
    }
)

_AVERAGING = frozenset({OpKind.POOLING, OpKind.REDUCTION})


def kind_of(word: str) -> OpKind:
    """Return the kind of an engine's op by its word alone; ``OTHER`` when the word tells nothing.

    Words do not tell a 1x1 convolution from a 3x3 one, nor a group convolution: where an op can be
    tied to the network, the network's own op decides, and not this.
    """
    # ONNX Runtime says of all that it computes with integers that it is linear in its scales.
    plain = re.sub(r"[\s_]+", "", word).lower().removeprefix("qlinear") or "linear"
    return next((kind for pattern, kind in _WORDS if re.search(pattern, plain)), OpKind.OTHER)


def word_of(executed: ProfiledOp) -> OpKind:
    """Return the kind of an executed op by its engine's words alone.

    XNNPACK calls all changes of type "Convert"; its ops bear the names of the file's operators.
    """
    named = kind_of(executed.name.partition(" ")[0])
    return (
        named
        if named is OpKind.QUANTIZE and _CONVERT.match(executed.type)
        else kind_of(executed.type)
    )


def sort_of(kind: OpKind) -> OpKind:
    """Return one kind for all that engines call by each other's names.

    A 1x1 convolution may be a linear layer to them, and a global pooling a mean.
    """
    if kind in WITH_MACS:
        return OpKind.CONVOLUTION
    return OpKind.REDUCTION if kind in _AVERAGING else kind
