"""ONNX ops that slide a window: convolution and pooling, with ONNX's ways to pad.

Padding is [begin of each axis, then end of each axis] in ONNX, symmetric in torch; what is not
symmetric is padded by an op of its own. Specification: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from groundspeed.export.onnx_node import OnnxNode

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


def conv(node: OnnxNode, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution, grouped or not."""
    rank = x.dim() - 2
    stride, dilation = _per_axis(node, "strides", rank), _per_axis(node, "dilations", rank)
    before, after = _padding(node, x, weight.shape[2:], stride, dilation)
    x, padding = _explicit(x, before, after, 0.0)
    return CONVOLUTIONS[rank](x, weight, bias, stride, padding, dilation, node.get("group", 1))


def conv_transpose(node: OnnxNode, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transposed convolution; asymmetric padding is cut off the result."""
    rank = x.dim() - 2
    if node.get("output_shape") or node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise node.unsupported("output_shape and automatic padding are not known to the importer")
    stride, dilation = _per_axis(node, "strides", rank), _per_axis(node, "dilations", rank)
    pads = node.get("pads") or [0] * (2 * rank)
    before, after = pads[:rank], pads[rank:]
    extra = node.get("output_padding") or [0] * rank
    if before == after:
        return TRANSPOSED[rank](
            x, weight, bias, stride, before, extra, node.get("group", 1), dilation
        )
    whole = TRANSPOSED[rank](x, weight, bias, stride, 0, extra, node.get("group", 1), dilation)
    return functional.pad(whole, [-edge for edge in _for_torch(before, after)])


def max_pool(node: OnnxNode, x: Tensor) -> Tensor:
    """Max pooling; the indices output is not computed."""
    rank = x.dim() - 2
    if len([name for name in node.outputs if name]) > 1:
        raise node.unsupported("its indices are used")
    kernel = node.get("kernel_shape")
    stride, dilation = _per_axis(node, "strides", rank), _per_axis(node, "dilations", rank)
    before, after = _padding(node, x, kernel, stride, dilation)
    x, padding = _explicit(x, before, after, -math.inf)
    ceil = bool(node.get("ceil_mode", 0))
    result: Tensor = MAX_POOLS[rank](x, kernel, stride, padding, dilation, ceil)
    return result


def average_pool(node: OnnxNode, x: Tensor) -> Tensor:
    """Average pooling; by default padding does not count."""
    rank = x.dim() - 2
    kernel = node.get("kernel_shape")
    stride, dilation = _per_axis(node, "strides", rank), _per_axis(node, "dilations", rank)
    if any(size != 1 for size in dilation):
        raise node.unsupported("torch has no dilated average pooling")
    before, after = _padding(node, x, kernel, stride, dilation)
    ceil, counted = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    if before == after:
        return _average(x, kernel, stride, before, ceil, counted)
    edges = _for_torch(before, after)
    averaged = _average(functional.pad(x, edges), kernel, stride, [0] * rank, ceil, True)
    if counted:
        return averaged
    # Share of each window that lies inside; constant, so it folds into one multiplication.
    inside = functional.pad(torch.ones(1, 1, *x.shape[2:], dtype=x.dtype), edges)
    return averaged / _average(inside, kernel, stride, [0] * rank, ceil, True)


def global_average_pool(node: OnnxNode, x: Tensor) -> Tensor:
    """Mean over all axes but the first two, which stay with size 1."""
    if x.dim() == 4:
        return functional.adaptive_avg_pool2d(x, 1)
    return x.mean(list(range(2, x.dim())), keepdim=True)


def global_max_pool(node: OnnxNode, x: Tensor) -> Tensor:
    """Maximum over all axes but the first two, which stay with size 1."""
    return x.amax(list(range(2, x.dim())), keepdim=True)


def _average(
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    ceil: bool,
    counted: bool,
) -> Tensor:
    if x.dim() == 3:
        return functional.avg_pool1d(x, kernel, stride, padding, ceil, counted)
    pool = functional.avg_pool2d if x.dim() == 4 else functional.avg_pool3d
    return pool(x, kernel, stride, padding, ceil, counted)


def _per_axis(node: OnnxNode, attribute: str, rank: int) -> list[int]:
    return node.get(attribute) or [1] * rank


def _padding(
    node: OnnxNode,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[list[int], list[int]]:
    """Return how much to pad before and after each axis."""
    rank = len(kernel)
    mode = node.get("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * rank, [0] * rank
    if mode == "NOTSET":
        pads = node.get("pads") or [0] * (2 * rank)
        return list(pads[:rank]), list(pads[rank:])
    before, after = [], []
    for size, taps, step, gap in zip(x.shape[2:], kernel, stride, dilation, strict=True):
        windows = math.ceil(size / step)
        total = max(0, (windows - 1) * step + (taps - 1) * gap + 1 - size)
        less, more = total // 2, total - total // 2
        before.append(more if mode == "SAME_LOWER" else less)
        after.append(less if mode == "SAME_LOWER" else more)
    return before, after


def _explicit(
    x: Tensor, before: list[int], after: list[int], value: float
) -> tuple[Tensor, list[int]]:
    """Return ``x``, padded if it must be, and the padding that is left to torch's op."""
    if before == after:
        return x, before
    return functional.pad(x, _for_torch(before, after), value=value), [0] * len(before)


def _for_torch(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Return padding as torch orders it: last axis first, begin and end side by side."""
    edges = []
    for start, end in zip(reversed(before), reversed(after), strict=True):
        edges += [start, end]
    return edges
