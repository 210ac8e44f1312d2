"""Bias correction: the mean error of rounded weights, taken out of each layer's bias.

Rounding a weight to integers shifts the mean of what the layer computes, since its input is not
centred: E[W' x + b] - E[W x + b] = (W' - W) E[x], which is nothing but another bias. So it is
measured on calibration data and subtracted, as section 4.2 and appendix D of Nagel et al. 2019
say, "Data-Free Quantization Through Weight Equalization and Bias Correction",
https://arxiv.org/abs/1906.04721. Layers are corrected in order, each behind layers that are
rounded and corrected already, so that it also takes in what these left over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Interpreter, Node

from groundspeed.errors import DataError
from groundspeed.export.affine import Linearity
from groundspeed.export.graph import calls, remove_unused
from groundspeed.export.weighted import (
    LINEAR,
    WEIGHTED,
    NotExact,
    Skipped,
    linearity,
    set_part,
    title,
)
from groundspeed.quantization import quantized, weight_scales

# One set of inputs of the network, in order.
Sample = tuple[Tensor, ...]

# Canonical op and its layer -> the values that its weight has once it is stored as integers.
QuantizedWeight = Callable[[str, Linearity], Tensor]


@dataclass(frozen=True, kw_only=True)
class LayerShift:
    """How far the means of a layer's outputs are off because weights are rounded.

    A shift is the magnitude of the mean error, averaged over channels, as a part of the root mean
    square of the layer's output.

    Attributes:
        module: the layer's path in the user's network.
        before: shift in the network without corrections.
        after: shift in the network with all corrections.
    """

    module: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """What :func:`correct_bias` did.

    Attributes:
        layers: those that were corrected, in order of computation.
        skipped: those that could not be.
        samples: how many samples the means are of.
    """

    layers: tuple[LayerShift, ...]
    skipped: tuple[Skipped, ...]
    samples: int

    @property
    def shift_before(self) -> float:
        """Mean of the layers' shifts without corrections; 0 if there are no layers."""
        return sum(layer.before for layer in self.layers) / max(len(self.layers), 1)

    @property
    def shift_after(self) -> float:
        """Mean of the layers' shifts with all corrections; 0 if there are no layers."""
        return sum(layer.after for layer in self.layers) / max(len(self.layers), 1)


def correct_bias(
    graph_module: GraphModule, samples: Sequence[Sample], quantized_weight: QuantizedWeight
) -> Corrected:
    """Correct the bias of every layer with weights, in place; one is made where there is none.

    Weights stay as they are: the corrected network is meant to have them rounded later, in the
    way that ``quantized_weight`` tells. Each layer takes a run of the network up to it on all
    samples, and in exchange no more than one sample's activations are ever in memory.

    Args:
        graph_module: the folded network; tensors are not overwritten, but exchanged.
        samples: inputs as in calibration, each of the shapes that the network was traced with.
        quantized_weight: for instance of :func:`rounding`.

    Raises:
        DataError: there are no samples, or the network computes NaN or infinity on one.
    """
    if not samples:
        raise DataError("there are no samples to correct biases on; name data with at least one")
    layers: dict[str, Linearity] = {}
    titles: dict[str, str] = {}
    skipped: list[Skipped] = []
    for node in calls(graph_module, *WEIGHTED):
        titles[node.name] = title(node)
        try:
            layers[node.name] = linearity(graph_module, node)
        except NotExact as reason:
            skipped.append(Skipped(title(node), str(reason)))

    rounded = _part(graph_module)
    for name, layer in layers.items():
        set_part(rounded, _node(rounded, name), "weight", quantized_weight(name, layer))
    exact = _moments(graph_module, layers, samples)
    before = _moments(rounded, layers, samples)
    for name in layers:
        arrived = _moments(_part(rounded, name), [name], samples)[name]
        shift = arrived.mean - exact[name].mean
        if shift.any():
            for network in (graph_module, rounded):
                _subtract(network, name, shift)
    after = _moments(rounded, layers, samples)
    remove_unused(graph_module)
    return Corrected(
        layers=tuple(
            LayerShift(
                module=titles[name],
                before=before[name].shift_from(exact[name]),
                after=after[name].shift_from(exact[name]),
            )
            for name in layers
        ),
        skipped=tuple(skipped),
        samples=len(samples),
    )


def rounding(*, per_channel: bool = True, float_ops: Collection[str] = ()) -> QuantizedWeight:
    """Return what the files' quantizers do to weights: 8-bit integers, symmetric.

    Args:
        per_channel: whether each output channel has a scale of its own.
        float_ops: canonical ops whose weights stay as they are.
    """

    def quantized_weight(name: str, layer: Linearity) -> Tensor:
        if name in float_ops:
            return layer.weight
        peaks = layer.output_peaks().float().unsqueeze(1).numpy()
        channels = torch.from_numpy(weight_scales(peaks, per_channel=per_channel))
        scales = layer.over_weight(channels)
        integers = quantized(layer.weight.float().numpy(), scales.numpy())
        return (torch.from_numpy(integers) * scales).to(layer.weight.dtype)

    return quantized_weight


@dataclass(frozen=True)
class _Moments:
    """Mean and mean square of each channel of an output over all samples, float64 [C]."""

    mean: Tensor
    square: Tensor

    def shift_from(self, exact: _Moments) -> float:
        """Return how far the means are off, in units of the exact root mean square."""
        error = (self.mean - exact.mean).abs().mean()
        size = exact.square.mean().sqrt()
        return float(error / size) if size > 0 else float(error)


def _moments(
    network: GraphModule, names: Collection[str], samples: Sequence[Sample]
) -> dict[str, _Moments]:
    """Run a network on samples; return the moments of the named layers' outputs."""
    sums = _Sums(network, names)
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
        found[name] = _Moments(mean / len(samples), square / len(samples))
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
            axis = -1 if n.target in LINEAR else 1
            channels = result.double().movedim(axis, 0).flatten(1)
            mean, square = channels.mean(1), channels.square().mean(1)
            if n.name in self.totals:
                mean, square = mean + self.totals[n.name][0], square + self.totals[n.name][1]
            self.totals[n.name] = mean, square
        return result


def _part(network: GraphModule, last: str | None = None) -> GraphModule:
    """Return the part of a network that computes one op, or all; tensors are shared."""
    graph = Graph()
    copies: dict[Node, Node] = {}
    for node in network.graph.nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
        if node.name == last:
            graph.output(copies[node])
            graph.eliminate_dead_code()
            break
    return GraphModule(network, graph)


def _node(network: GraphModule, name: str) -> Node:
    (node,) = (node for node in network.graph.nodes if node.name == name)
    assert isinstance(node, Node)
    return node


def _subtract(network: GraphModule, name: str, shift: Tensor) -> None:
    """Take a shift per channel, float64 [C], from what a layer computes."""
    node = _node(network, name)
    layer = linearity(network, node)
    bias = -shift if layer.bias is None else layer.bias.double() - shift
    set_part(network, node, "bias", bias.to(layer.weight.dtype))
