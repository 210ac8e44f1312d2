"""The ONNX ops that the importer knows, a small torch function each.

A function takes the node and its inputs as tensors (None for one left out) and returns the
output, or a tuple of outputs. Differences between op sets are handled where the node is read:
:meth:`OnnxNode.integers` finds what moved from an attribute to an input. Specification:
https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from torch import Tensor
from torch.nn import functional

from groundspeed.export import onnx_windows as windows
from groundspeed.export.onnx_node import OnnxNode

Compute = Callable[..., Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True)
class OnnxOp:
    """How one op is computed.

    Attributes:
        compute: takes the node and its inputs.
        weights: what its inputs are called when they are learned values, by position.
    """

    compute: Compute
    weights: tuple[str, ...] = ()


def _unary(function: Callable[[Tensor], Tensor]) -> OnnxOp:
    return OnnxOp(lambda node, x: function(x))


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> OnnxOp:
    return OnnxOp(lambda node, a, b: function(a, b))


def _batch_normalization(
    node: OnnxNode, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    if node.get("training_mode", 0):
        raise node.unsupported("it normalizes with the statistics of the batch")
    epsilon = node.get("epsilon", 1e-5)
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def _gemm(node: OnnxNode, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if node.get("transA", 0):
        a = a.t()
    if alpha != 1.0:
        a = a * alpha
    if c is not None and beta != 1.0:
        c = c * beta
    if node.get("transB", 0) and (c is None or c.dim() == 1):
        return functional.linear(a, b, c)
    product = a @ (b.t() if node.get("transB", 0) else b)
    return product if c is None else product + c


def _matmul(node: OnnxNode, a: Tensor, b: Tensor) -> Tensor:
    # The importer stores a two-dimensional weight as torch has it, [out, in].
    return functional.linear(a, b) if node.get("transB", 0) else a @ b


def _clip(
    node: OnnxNode, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    least = node.get("min", None if low is None else _number(node, 1))
    most = node.get("max", None if high is None else _number(node, 2))
    if least == 0 and most is None:
        return functional.relu(x)
    if least == 0 and most == 6:
        return functional.relu6(x)
    return x if least is None and most is None else torch.clamp(x, least, most)


def _number(node: OnnxNode, position: int) -> float:
    array = node.constant(position)
    assert array is not None
    return float(array.item())


def _hard_sigmoid(node: OnnxNode, x: Tensor) -> Tensor:
    slope, offset = node.get("alpha", 0.2), node.get("beta", 0.5)
    if math.isclose(slope, 1 / 6, rel_tol=1e-6) and offset == 0.5:
        return functional.hardsigmoid(x)
    return torch.clamp(x * slope + offset, 0.0, 1.0)


def _gelu(node: OnnxNode, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=node.get("approximate", "none"))


def _softmax(node: OnnxNode, x: Tensor) -> Tensor:
    if node.opset >= 13:
        return functional.softmax(x, node.get("axis", -1))
    # Before opset 13 all axes from this one on are one.
    axis = node.get("axis", 1) % x.dim()
    return (
        functional.softmax(x.flatten(axis), -1).view(x.shape)
        if axis < x.dim() - 1
        else functional.softmax(x, -1)
    )


def _lrn(node: OnnxNode, x: Tensor) -> Tensor:
    alpha, beta, bias = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    return functional.local_response_norm(x, node.attributes["size"], alpha, beta, bias)


def _sum(node: OnnxNode, *terms: Tensor) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _concat(node: OnnxNode, *parts: Tensor) -> Tensor:
    return torch.cat(parts, node.attributes["axis"])


def _split(node: OnnxNode, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = node.get("axis", 0)
    lengths = node.integers(1, "split")
    equal = math.ceil(x.shape[axis] / len(node.outputs))
    return torch.split(x, equal if lengths is None else lengths, axis)


def _slice(node: OnnxNode, x: Tensor, *_: Tensor | None) -> Tensor:
    starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
    assert starts is not None
    assert ends is not None
    axes = node.integers(3, "axes") or list(range(len(starts)))
    steps = node.integers(4, "steps") or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0:
            indices = list(range(x.shape[axis]))[start : _open_end(end, x.shape[axis]) : step]
            x = x.index_select(axis, torch.tensor(indices))
        else:
            size = x.shape[axis]
            x = x[(slice(None),) * (axis % x.dim()) + (slice(start, min(end, size), step),)]
    return x


def _open_end(end: int, size: int) -> int | None:
    return None if end < -size else end


def _reshape(node: OnnxNode, x: Tensor, _: Tensor | None = None) -> Tensor:
    sizes = node.integers(1, "shape")
    assert sizes is not None
    if not node.get("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(node: OnnxNode, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    if axis == 1:
        return x.flatten(1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _squeeze(node: OnnxNode, x: Tensor, _: Tensor | None = None) -> Tensor:
    axes = node.integers(1, "axes")
    return x.squeeze() if axes is None else x.squeeze(axes)


def _unsqueeze(node: OnnxNode, x: Tensor, _: Tensor | None = None) -> Tensor:
    axes = node.integers(1, "axes")
    assert axes is not None
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(node: OnnxNode, x: Tensor) -> Tensor:
    return x.permute(node.get("perm") or list(reversed(range(x.dim()))))


def _pad(node: OnnxNode, x: Tensor, *_: Tensor | None) -> Tensor:
    mode = node.get("mode", "constant")
    pads = node.integers(1, "pads")
    assert pads is not None
    value = node.get("value", _number(node, 2) if node.constant(2) is not None else 0.0)
    axes = node.integers(3, "axes") or list(range(x.dim()))
    edges = [0] * (2 * x.dim())
    for position, axis in enumerate(axes):
        last_first = 2 * (x.dim() - 1 - axis % x.dim())
        edges[last_first : last_first + 2] = pads[position], pads[len(axes) + position]
    while edges and edges[-2:] == [0, 0]:
        edges = edges[:-2]
    if mode == "constant":
        return functional.pad(x, edges, value=value)
    return functional.pad(x, edges, mode={"edge": "replicate", "reflect": "reflect"}[mode])


def _gather(node: OnnxNode, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.dim()
    indices = torch.where(indices < 0, indices + x.shape[axis], indices)
    picked = x.index_select(axis, indices.flatten())
    return picked.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def _constant(node: OnnxNode) -> Tensor:
    for name, value in node.attributes.items():
        if name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
            return value if isinstance(value, Tensor) else torch.tensor(value)
    raise node.unsupported("it holds no number")


def _constant_of_shape(node: OnnxNode, _: Tensor) -> Tensor:
    sizes = node.integers(0, "shape")
    assert sizes is not None
    value: Tensor = node.get("value", torch.zeros(1))
    return value.reshape(()).expand(sizes).clone()


def _reduce(function: Callable[..., Tensor]) -> OnnxOp:
    def compute(node: OnnxNode, x: Tensor, _: Tensor | None = None) -> Tensor:
        axes = node.integers(1, "axes")
        if not axes and node.get("noop_with_empty_axes", 0):
            return x
        keep = bool(node.get("keepdims", 1))
        result: Tensor = function(x, axes or list(range(x.dim())), keepdim=keep)
        return result

    return OnnxOp(compute)


def _cast(node: OnnxNode, x: Tensor) -> Tensor:
    numpy_dtype = onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"])
    return x.to(getattr(torch, "bool" if numpy_dtype.kind == "b" else str(numpy_dtype)))


def _resize(node: OnnxNode, x: Tensor, *_: Tensor | None) -> Tensor:
    mode = node.get("mode", "nearest")
    coordinates = node.get("coordinate_transformation_mode", "asymmetric")
    factors, sizes = _resize_target(node, x)
    if mode == "nearest" and all(factor >= 1 and factor == int(factor) for factor in factors):
        return functional.interpolate(x, sizes, mode="nearest")
    spatial = x.dim() - 2
    if mode == "linear" and spatial == 2 and coordinates in ("half_pixel", "align_corners"):
        corners = coordinates == "align_corners"
        return functional.interpolate(x, sizes, mode="bilinear", align_corners=corners)
    raise node.unsupported(f"mode '{mode}' with '{coordinates}' coordinates is not in torch")


def _resize_target(node: OnnxNode, x: Tensor) -> tuple[list[float], list[int]]:
    """Return factors and sizes of the axes behind batch and channels."""
    old = list(x.shape[2:])
    scales: Sequence[float] | None = node.get("scales")
    if scales is None:
        array = node.constant(2 if node.op == "Resize" and node.opset >= 11 else 1)
        scales = array.tolist() if array is not None and array.size else None
    if scales is not None:
        return list(scales[2:]), [int(n * f) for n, f in zip(old, scales[2:], strict=True)]
    sizes = node.integers(3, "sizes")
    assert sizes is not None
    return [new / n for new, n in zip(sizes[2:], old, strict=True)], sizes[2:]


def _identity(node: OnnxNode, x: Tensor, *_: Any) -> Tensor:
    return x


_WEIGHTED = ("", "weight", "bias")

OPS: dict[str, OnnxOp] = {
    "Abs": _unary(torch.abs),
    "Add": _binary(torch.add),
    "AveragePool": OnnxOp(windows.average_pool),
    "BatchNormalization": OnnxOp(_batch_normalization, (*_WEIGHTED, "running_mean", "running_var")),
    "Cast": OnnxOp(_cast),
    "Clip": OnnxOp(_clip),
    "Concat": OnnxOp(_concat),
    "Constant": OnnxOp(_constant),
    "ConstantOfShape": OnnxOp(_constant_of_shape),
    "Conv": OnnxOp(windows.conv, _WEIGHTED),
    "ConvTranspose": OnnxOp(windows.conv_transpose, _WEIGHTED),
    "Div": OnnxOp(
        lambda node, a, b: torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")
    ),
    "Dropout": OnnxOp(_identity),
    "Elu": OnnxOp(lambda node, x: functional.elu(x, node.get("alpha", 1.0))),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Expand": OnnxOp(lambda node, x, _: x * torch.ones(node.integers(1, "shape"), dtype=x.dtype)),
    "Flatten": OnnxOp(_flatten),
    "Gather": OnnxOp(_gather),
    "Gelu": OnnxOp(_gelu),
    "Gemm": OnnxOp(_gemm, _WEIGHTED),
    "GlobalAveragePool": OnnxOp(windows.global_average_pool),
    "GlobalMaxPool": OnnxOp(windows.global_max_pool),
    "HardSigmoid": OnnxOp(_hard_sigmoid),
    "HardSwish": _unary(functional.hardswish),
    "Identity": OnnxOp(_identity),
    "LRN": OnnxOp(_lrn),
    "LeakyRelu": OnnxOp(lambda node, x: functional.leaky_relu(x, node.get("alpha", 0.01))),
    "Log": _unary(torch.log),
    "LogSoftmax": OnnxOp(lambda node, x: torch.log(_softmax(node, x))),
    "MatMul": OnnxOp(_matmul, _WEIGHTED),
    "Max": OnnxOp(lambda node, *terms: functools.reduce(torch.maximum, terms)),
    "MaxPool": OnnxOp(windows.max_pool),
    "Min": OnnxOp(lambda node, *terms: functools.reduce(torch.minimum, terms)),
    "Mul": _binary(torch.mul),
    "Neg": _unary(torch.neg),
    "PRelu": OnnxOp(lambda node, x, slope: torch.where(x < 0, x * slope, x), _WEIGHTED),
    "Pad": OnnxOp(_pad),
    "Pow": _binary(torch.pow),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _unary(functional.relu),
    "Reshape": OnnxOp(_reshape),
    "Resize": OnnxOp(_resize),
    "Shape": OnnxOp(lambda node, x: torch.tensor(x.shape[node.get("start") : node.get("end")])),
    "Sigmoid": _unary(torch.sigmoid),
    "Slice": OnnxOp(_slice),
    "Softmax": OnnxOp(_softmax),
    "Softplus": _unary(functional.softplus),
    "Split": OnnxOp(_split),
    "Sqrt": _unary(torch.sqrt),
    "Squeeze": OnnxOp(_squeeze),
    "Sub": _binary(torch.sub),
    "Sum": OnnxOp(_sum),
    "Tanh": _unary(torch.tanh),
    "Transpose": OnnxOp(_transpose),
    "Unsqueeze": OnnxOp(_unsqueeze),
    "Upsample": OnnxOp(_resize),
}
