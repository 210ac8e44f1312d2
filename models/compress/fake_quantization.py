"""What a network is made of while it learns to be quantized.

Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, section 3, https://arxiv.org/abs/1712.05877: each tensor is
rounded to the values that 8-bit integers can stand for, in the forward pass only. Backward the
gradient passes as if nothing had been rounded ("straight through"), but for values out of range,
which get none; PyTorch's own fake-quantization ops do both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from groundspeed.errors import TrainingError
from groundspeed.quantization import Range, weight_scales


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What changes in the course of a training; counted in batches.

    Attributes:
        delay: activations are observed, but not rounded, before this many; the paper lets a
            network that is trained from scratch settle first (section 3.1).
        freeze: after this many, ranges and the statistics of batch normalizations stay as they
            are, and only weights learn; None lets them move to the end.
        momentum: share of a new batch in a range's moving average.
    """

    delay: int = 0
    freeze: int | None = None
    momentum: float = 0.01

    def learns(self, batches: int) -> bool:
        """Return whether statistics still move in the batch after so many."""
        return self.freeze is None or batches < self.freeze


class SharedRange(nn.Module):
    """The range of all tensors that are stored with one scale, and their rounding.

    Tensors that a concatenation or another move of data connects have one scale, so what is rounded
    is rounded to the range that holds them all. Each place where such a tensor is computed (a
    "site") has its own moving averages of the least and the largest value of a batch.

    Args:
        sites: how many there are.
        schedule: when it rounds, and when it stops to learn.
    """

    low: Tensor
    high: Tensor
    batches: Tensor

    def __init__(self, sites: int, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule
        self.register_buffer("low", torch.zeros(sites, dtype=torch.float64))
        self.register_buffer("high", torch.zeros(sites, dtype=torch.float64))
        self.register_buffer("batches", torch.zeros(sites, dtype=torch.int64))

    def forward(self, x: Tensor, site: int) -> Tensor:
        """Return ``x`` on the grid of its integers, once the delay is over.

        Raises:
            TrainingError: ``x`` holds infinity or NaN.
        """
        if self.training:
            self._observe(x.detach(), site)
            if self.batches[site] <= self._schedule.delay:
                return x
        return torch.fake_quantize_per_tensor_affine(x, *self.parameters_of_grid())

    def parameters_of_grid(self) -> tuple[float, int, int, int]:
        """Return scale, zero point, and the least and the largest integer."""
        return (*self.range().asymmetric(-128, 127), -128, 127)

    def range(self) -> Range:
        """Return the range that holds every site's."""
        low, high = float(self.low.min()), float(self.high.max())
        return Range(low=min(low, 0.0), high=max(high, 0.0))

    def _observe(self, x: Tensor, site: int) -> None:
        seen = int(self.batches[site])
        self.batches[site] += 1
        if not self._schedule.learns(seen):
            return
        share = self._schedule.momentum if seen else 1.0
        for average, value in zip((self.low, self.high), torch.aminmax(x), strict=True):
            if not math.isfinite(value):
                raise TrainingError(
                    f"an activation became {value} in batch {seen + 1}; train with a lower "
                    "learning rate"
                )
            average[site] += share * (value - average[site])


class FoldedLayer(nn.Module):
    """A convolution or linear layer whose weight is rounded after it is folded.

    A batch normalization behind it is part of it. As in inference, the moving averages of its
    statistics scale the weight and shift the output, so training sees the weights that will be
    rounded (equation 14 of the paper): ``w_fold = gamma * w / sqrt(EMA(variance) + epsilon)``.

    Args:
        operation: called with input, weight, bias and ``rest``.
        rest: its other arguments, such as strides.
        weight: [output channels, ...]; if ``axis`` is 1, the second dimension has them.
        bias: [output channels] or None.
        normalization: the batch normalization behind it, if there is one.
        axis: dimension of the weight's output channels.
        per_channel: whether each output channel has a scale of its own.
        schedule: when the statistics stop to learn.
    """

    bias: nn.Parameter | None
    batches: Tensor

    def __init__(
        self,
        operation: Callable[..., Tensor],
        rest: tuple[Any, ...],
        weight: nn.Parameter,
        bias: nn.Parameter | None,
        *,
        normalization: Normalization | None,
        axis: int,
        per_channel: bool,
        schedule: Schedule,
    ) -> None:
        super().__init__()
        self.operation, self.rest = operation, rest
        self.weight = weight
        self.register_parameter("bias", bias)
        self.normalization = normalization
        self._axis, self._per_channel, self._schedule = axis, per_channel, schedule
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer computes of ``x`` with its rounded weight."""
        if self.training and self.normalization is not None:
            if self._schedule.learns(int(self.batches)):
                with torch.no_grad():
                    self.normalization.observe(self._compute(x, self.weight, self.bias))
            self.batches += 1
        return self._compute(x, *self.rounded())

    def rounded(self) -> tuple[Tensor, Tensor | None]:
        """Return the folded weight on the grid of its integers, and the folded bias."""
        folded: tuple[Tensor, Tensor | None] = (self.weight, self.bias)
        if self.normalization is not None:
            folded = self.normalization.folded(self.weight, self.bias)
        weight, bias = folded
        return rounded_weight(weight, axis=self._axis, per_channel=self._per_channel), bias

    def _compute(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.operation(x, weight, bias, *self.rest)


class Normalization(nn.Module):
    """A batch normalization that lives on in the weight and bias of the layer before it.

    Args:
        gamma: its learned scale, or None.
        beta: its learned shift, or None.
        mean: moving average of the mean of each channel.
        variance: the same of the variance.
        momentum: share of a new batch in them.
        epsilon: added to the variance.
    """

    gamma: nn.Parameter | None
    beta: nn.Parameter | None
    mean: Tensor
    variance: Tensor

    def __init__(
        self,
        gamma: nn.Parameter | None,
        beta: nn.Parameter | None,
        mean: Tensor,
        variance: Tensor,
        *,
        momentum: float,
        epsilon: float,
    ) -> None:
        super().__init__()
        self.register_parameter("gamma", gamma)
        self.register_parameter("beta", beta)
        self.register_buffer("mean", mean)
        self.register_buffer("variance", variance)
        self._momentum, self._epsilon = momentum, epsilon

    def observe(self, x: Tensor) -> None:
        """Let the moving averages take in a batch of what would be normalized."""
        functional.batch_norm(x, self.mean, self.variance, training=True, momentum=self._momentum)

    def folded(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return weight [C, ...] and bias [C] of the layer that computes both."""
        scale = torch.rsqrt(self.variance + self._epsilon)
        if self.gamma is not None:
            scale = scale * self.gamma
        shift = (0 if bias is None else bias) - self.mean
        folded_bias = shift * scale
        if self.beta is not None:
            folded_bias = folded_bias + self.beta
        return weight * scale.view(-1, *[1] * (weight.dim() - 1)), folded_bias


def rounded_weight(weight: Tensor, *, axis: int, per_channel: bool) -> Tensor:
    """Return a weight on the grid of its symmetric integers, -127 to 127.

    Args:
        weight: to be rounded.
        axis: dimension of its output channels.
        per_channel: whether each of them has a scale of its own.
    """
    channels_first = weight.detach().movedim(axis, 0).numpy()
    scales = torch.from_numpy(weight_scales(channels_first, per_channel=per_channel))
    zero_points = torch.zeros(len(scales), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zero_points, axis, -127, 127)
