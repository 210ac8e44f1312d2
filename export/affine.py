"""A scale and a shift per channel, as batch normalization has, and how a weight absorbs them.

In inference batch normalization is affine, ``y = scale * x + shift`` per channel with
``scale = gamma / sqrt(variance + epsilon)`` and ``shift = beta - mean * scale`` (Ioffe and
Szegedy, Batch Normalization, algorithm 2, https://arxiv.org/abs/1502.03167). A linear op before
or after it can carry both in its own weight and bias. All arithmetic is in float64; the results
have the weight's dtype, so that one rounding remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Affine:
    """``y = scale * x + shift`` with one entry per channel, float64.

    Attributes:
        scale: [C].
        shift: [C].
    """

    scale: Tensor
    shift: Tensor

    @staticmethod
    def of_batchnorm(
        weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, epsilon: float
    ) -> Affine:
        """Return what batch normalization does to each channel in inference."""
        scale = (variance.double() + epsilon).rsqrt()
        if weight is not None:
            scale = scale * weight.double()
        shift = -mean.double() * scale
        return Affine(scale, shift if bias is None else shift + bias.double())

    def repeated(self, times: int) -> Affine:
        """Return the same with every channel standing ``times`` times in a row, as flattening does.

        A feature map [N, C, H, W] becomes [N, C*H*W]: channel c fills H*W columns.
        """
        return Affine(self.scale.repeat_interleave(times), self.shift.repeat_interleave(times))


@dataclass(frozen=True)
class Linearity:
    """Weight and bias of a convolution, transposed convolution or linear layer.

    Attributes:
        weight: [out, in/groups, *kernel], or [in, out/groups, *kernel] if transposed.
        bias: [out] or None.
        groups: number of groups, 1 for a linear layer.
        transposed: whether it is a transposed convolution.
    """

    weight: Tensor
    bias: Tensor | None
    groups: int = 1
    transposed: bool = False

    @property
    def inputs(self) -> int:
        """Number of input channels, or of columns of a linear layer."""
        if self.transposed:
            return self.weight.shape[0]
        return self.weight.shape[1] * self.groups

    def output_peaks(self) -> Tensor:
        """Return the largest magnitude among the weights of each output channel, [out]."""
        return self._peaks(self._output_axis)

    def input_peaks(self) -> Tensor:
        """Return the largest magnitude among the weights that read each input channel, [in]."""
        return self._peaks(self._input_axis)

    def over_weight(self, outputs: Tensor) -> Tensor:
        """Return one value for each output channel in a shape that broadcasts with the weight."""
        grouped = self._grouped()
        along = _along(outputs, grouped, self._output_axis)
        size = [grouped.shape[0], grouped.shape[1], *along.shape[2:]]
        return along.expand(size).flatten(0, 1)

    def then(self, affine: Affine) -> Linearity:
        """Return the op that computes ``affine`` of this op's output. Always exact."""
        weight = self._grouped()
        weight = weight * _along(affine.scale, weight, self._output_axis)
        bias = affine.shift
        if self.bias is not None:
            bias = bias + self.bias.double() * affine.scale
        return self._with(weight, bias)

    def after(self, affine: Affine) -> Linearity:
        """Return the op that computes this op on ``affine`` of the input.

        Exact only where every output sums over all taps, or where the shift is 0: an op that pads
        with zeros pads *after* the shift, so at the border the shift does not arrive through
        every tap. The caller checks this. A linear layer behind a flattened feature map has more
        columns than ``affine`` has channels.
        """
        weight = self._grouped()
        axis = self._input_axis
        affine = affine.repeated(self.inputs // affine.scale.numel())
        bias = None if self.bias is None else self.bias.double()
        if not self.transposed and affine.shift.any():
            arriving = weight * _along(affine.shift, weight, axis)
            constant = arriving.flatten(2).sum(2).flatten()  # [groups, out/groups, …] -> [out]
            bias = constant if bias is None else bias + constant
        return self._with(weight * _along(affine.scale, weight, axis), bias)

    @property
    def _output_axis(self) -> int:
        """Axis of the grouped weight."""
        return 2 if self.transposed else 1

    @property
    def _input_axis(self) -> int:
        return 1 if self.transposed else 2

    def _peaks(self, axis: int) -> Tensor:
        grouped = self._grouped().abs()
        others = [other for other in range(1, grouped.dim()) if other != axis]
        return grouped.amax(others).flatten()

    def _grouped(self) -> Tensor:
        """Weight as float64 [groups, first/groups, second/groups, *kernel]."""
        first, *rest = self.weight.shape
        return self.weight.double().view(self.groups, first // self.groups, *rest)

    def _with(self, grouped: Tensor, bias: Tensor | None) -> Linearity:
        dtype = self.weight.dtype
        return Linearity(
            grouped.flatten(0, 1).to(dtype).contiguous(),
            None if bias is None else bias.to(dtype).contiguous(),
            self.groups,
            self.transposed,
        )


def _along(channels: Tensor, grouped: Tensor, axis: int) -> Tensor:
    """Shape [groups * n] channels so that they broadcast along ``axis`` of a grouped weight."""
    view = [1] * grouped.dim()
    view[0], view[axis] = grouped.shape[0], grouped.shape[axis]
    return channels.view(view)


def is_zero(tensor: Tensor) -> bool:
    """Return whether every element is exactly 0."""
    return not bool(torch.count_nonzero(tensor))
