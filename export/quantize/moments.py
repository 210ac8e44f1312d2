"""Mean and mean square of each channel that layers compute, over samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from groundspeed.errors import DataError
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.weighted import LINEAR


@dataclass(frozen=True)
class Moments:
    """Mean and mean square of each channel of a layer's output over all samples, float64 [C]."""

    mean: Tensor
    square: Tensor

    def shift_from(self, exact: Moments) -> float:
        """Return how far the means are off, in units of the exact root mean square."""
        error = (self.mean - exact.mean).abs().mean()
        size = exact.square.mean().sqrt()
        return float(error / size) if size > 0 else float(error)


def moments(
    network: GraphModule, layers: Collection[str], samples: Sequence[Sample]
) -> dict[str, Moments]:
    """Run a network on samples, one after the other; return the moments of what layers compute.

    Raises:
        DataError: a layer computes NaN or infinity.
    """
    sums = _Sums(network, layers)
    with torch.no_grad():
        for sample in samples:
            sums.run(*sample)
    found = {}
    for name, (mean, square) in sums.totals.items():
        if not square.isfinite().all():
            raise DataError(
                f"'{name}' holds NaN or infinity on the samples that biases are corrected on; "
                "check the data's normalization and the network's weights"
            )
        found[name] = Moments(mean / len(samples), square / len(samples))
    return found


class _Sums(Interpreter):
    """Runs a graph, and sums the mean and the mean square of the named outputs by channel."""

    def __init__(self, network: GraphModule, names: Collection[str]) -> None:
        super().__init__(network)
        self._names = names
        self.totals: dict[str, tuple[Tensor, Tensor]] = {}

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        if n.name in self._names:
            channels = by_channel(n, result)
            mean, square = channels.mean(1), channels.square().mean(1)
            if n.name in self.totals:
                mean, square = mean + self.totals[n.name][0], square + self.totals[n.name][1]
            self.totals[n.name] = mean, square
        return result


def by_channel(layer: Node, output: Tensor) -> Tensor:
    """Return a layer's output as float64 [C, values of the channel]."""
    return output.double().movedim(channel_axis(layer), 0).flatten(1)


def channel_axis(layer: Node) -> int:
    """Return the axis of a layer's output that holds its channels."""
    return -1 if layer.target in LINEAR else 1
