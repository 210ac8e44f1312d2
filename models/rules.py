"""The table of :mod:`groundspeed.models.cost`: for each op, what sort of work and how much.

One row an op, or one for several that count alike. An op's name is as in
:attr:`groundspeed.models.calls.Call.op`, so in-place and functional forms share a row.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

from groundspeed.models.calls import Call
from groundspeed.ops import OpKind

Count = Callable[[Call], int]


class Traffic(enum.Enum):
    """Which bytes an op moves."""

    ALL = "every input, weight and output"
    KEPT = "what it keeps of its input, read and written"
    NONE = "none: the same bytes under another name"


def _nothing(_: Call) -> int:
    return 0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one op is counted.

    Attributes:
        kind: what sort of work it is, where that depends on its arguments as a function.
        macs: its multiply-accumulates.
        flops: its floating-point operations beside those.
        traffic: which bytes it moves.
    """

    kind: OpKind | Callable[[Call], OpKind]
    macs: Count = _nothing
    flops: Count = _nothing
    traffic: Traffic = Traffic.ALL

    def kind_of(self, call: Call) -> OpKind:
        """Return what sort of work a call is."""
        return self.kind if isinstance(self.kind, OpKind) else self.kind(call)

    def memory_bytes(self, call: Call) -> int:
        """Return the memory access cost of a call."""
        written = sum(tensor.bytes for tensor in call.outputs)
        if self.traffic is Traffic.NONE:
            return 0
        if self.traffic is Traffic.KEPT:
            return 2 * written
        return written + sum(tensor.bytes for tensor in call.inputs)


# ---- multiply-accumulates ------------------------------------------------------------------------


def _is_transposed(call: Call) -> bool:
    return call.op.startswith("conv_transpose") or bool(call.arguments.get("transposed"))


def _convolution_macs(call: Call) -> int:
    """Weights are [C_out, C_in / groups, *kernel], transposed [C_in, C_out / groups, *kernel].

    Each element of the output (transposed: of the input) meets all weights of one first index.
    """
    positions = call.tensor("input") if _is_transposed(call) else call.output
    return positions.elements * math.prod(call.tensor("weight").shape[1:])


def _convolution_kind(call: Call) -> OpKind:
    if _is_transposed(call):
        return OpKind.TRANSPOSED
    groups = call.arguments["groups"]
    _, channels_in_group, *kernel = call.tensor("weight").shape
    if groups > 1:
        return OpKind.DEPTHWISE if channels_in_group == 1 else OpKind.GROUP
    return OpKind.POINTWISE if math.prod(kernel) == 1 else OpKind.CONVOLUTION


def _product_macs(left: str) -> Count:
    """Each element of the output is a dot product along the last dimension of ``left``."""
    return lambda call: call.output.elements * call.tensor(left).shape[-1]


def _attention_macs(call: Call) -> int:
    """Query [..., L, E] times key [..., S, E], the scores [..., L, S] times value [..., S, V]."""
    return (call.tensor("query").elements + call.output.elements) * call.tensor("key").shape[-2]


def _attention_flops(call: Call) -> int:
    """One multiplication and a softmax for each score [..., L, S]."""
    query = call.tensor("query")
    scores = query.elements // query.shape[-1] * call.tensor("key").shape[-2]
    return (1 + 5) * scores


# ---- floating-point operations -------------------------------------------------------------------


def _per_output(flops: int) -> Count:
    return lambda call: flops * call.output.elements


def _per_input(flops: int) -> Count:
    return lambda call: flops * call.inputs[0].elements


def _per_window(call: Call) -> int:
    """One comparison or addition for each place of the window."""
    kernel = call.arguments["kernel_size"]
    dimensions = int(call.op.partition("pool")[2][0])
    places = kernel[0] ** dimensions if len(kernel) == 1 else math.prod(kernel)
    return int(places) * call.output.elements


# ---- the table -----------------------------------------------------------------------------------

# FLOPs for each element of the output. A comparison, an exponential or a logarithm counts as one.
_ACTIVATIONS = {
    1: "relu threshold clamp_min clamp_max",
    2: "relu6 hardtanh clamp leaky_relu prelu _prelu_kernel",  # two comparisons, or one and a scale
    3: "elu selu celu",  # compare, exponential, subtract
    # Negate, exponential, add, divide; the hard one: add, two comparisons, multiply.
    4: "sigmoid hardsigmoid",
    # A (hard) sigmoid times its input; softmax: maximum, subtract, exponential, add, divide.
    5: "silu hardswish softmax _softmax log_softmax _log_softmax",
    6: "tanh",  # 2 sigmoid(2x) - 1
    7: "gelu",  # by the error function: scale, erf (4, as a sigmoid), add, multiply
}

_ELEMENTWISE = (
    "add sub rsub mul div true_divide maximum minimum neg abs sqrt rsqrt reciprocal square pow exp "
    "log erf sin cos floor ceil round sign where eq ne lt le gt ge logical_and logical_or "
    "logical_not bitwise_and bitwise_or bitwise_not masked_fill remainder floor_divide"
)

_NORMALIZATIONS = {
    # With running statistics: one multiply and one add by numbers that are known before.
    2: "batch_norm _native_batch_norm_legit_no_training native_batch_norm",
    4: "rms_norm",  # square, sum, scale, weight
    # Mean, difference, square, sum, scale, and the two of the affine map.
    7: "layer_norm native_layer_norm group_norm native_group_norm instance_norm",
}

_REDUCTIONS = "mean sum amax amin max min prod argmax argmin any all cumsum logsumexp"

_RENAMING = (
    "view _unsafe_view reshape flatten unflatten squeeze unsqueeze contiguous clone alias detach "
    "lift_fresh_copy view_as reshape_as dropout feature_dropout alpha_dropout"
)
_SPLITTING = "chunk split split_with_sizes unbind tensor_split"  # charged to the pieces
_SELECTING = "slice select narrow index_select gather embedding index"
_REORDERING = (
    "transpose permute t numpy_T movedim swapaxes flip roll channel_shuffle pixel_shuffle "
    "pixel_unshuffle cat concat stack expand expand_as repeat tile repeat_interleave pad "
    "constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d "
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d copy to _to_copy type_as unfold "
    "im2col col2im zeros ones full arange zeros_like ones_like full_like scalar_tensor"
)


def _rows(ops: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(ops.split(), rule)


def _movement(traffic: Traffic) -> Rule:
    return Rule(kind=OpKind.DATA_MOVEMENT, traffic=traffic)


def _elementwise(kind: OpKind, table: dict[int, str]) -> dict[str, Rule]:
    return {
        op: rule
        for flops, ops in table.items()
        for op, rule in _rows(ops, Rule(kind=kind, flops=_per_output(flops))).items()
    }


RULES: dict[str, Rule] = {
    **_rows(
        "conv1d conv2d conv3d convolution _convolution "
        "conv_transpose1d conv_transpose2d conv_transpose3d",
        Rule(kind=_convolution_kind, macs=_convolution_macs),
    ),
    "linear": Rule(kind=OpKind.LINEAR, macs=_product_macs("input")),
    **_rows("matmul mm bmm mv dot", Rule(kind=OpKind.LINEAR, macs=_product_macs("self"))),
    "addmm": Rule(kind=OpKind.LINEAR, macs=_product_macs("mat1")),
    "baddbmm": Rule(kind=OpKind.LINEAR, macs=_product_macs("batch1")),
    "scaled_dot_product_attention": Rule(
        kind=OpKind.LINEAR, macs=_attention_macs, flops=_attention_flops
    ),
    **_elementwise(OpKind.NORMALIZATION, _NORMALIZATIONS),
    **_elementwise(OpKind.ACTIVATION, _ACTIVATIONS),
    **_elementwise(OpKind.ELEMENTWISE, {1: _ELEMENTWISE}),
    **_rows(
        "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices "
        "avg_pool1d avg_pool2d avg_pool3d",
        Rule(kind=OpKind.POOLING, flops=_per_window),
    ),
    **_rows(
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
        Rule(kind=OpKind.POOLING, flops=_per_input(1)),
    ),
    **_rows(_REDUCTIONS, Rule(kind=OpKind.REDUCTION, flops=_per_input(1))),
    # Four multiplications by weights and three additions.
    "upsample_bilinear2d": Rule(kind=OpKind.OTHER, flops=_per_output(7)),
    **_rows(_RENAMING, _movement(Traffic.NONE)),
    **_rows(_SPLITTING, _movement(Traffic.NONE)),
    **_rows(_SELECTING, _movement(Traffic.KEPT)),
    **_rows(_REORDERING, _movement(Traffic.ALL)),
}

UNKNOWN = Rule(kind=OpKind.OTHER)


def rule_for(call: Call) -> Rule:
    """Return the rule of a call; :data:`UNKNOWN` when there is none."""
    if call.op != "getitem":
        return RULES.get(call.op, UNKNOWN)
    # One output of an op that has several: a piece of a split tensor, or a name for a result.
    whole = Call(call.node.all_input_nodes[0])
    kind = rule_for(whole).kind_of(whole)
    return Rule(kind=kind, traffic=Traffic.KEPT if whole.op in _SPLITTING.split() else Traffic.NONE)
