"""Bias correction: the mean error of rounded weights, taken out of each layer's bias.

Rounding a weight to integers shifts the mean of what the layer computes, since its input is not
centred: E[W' x + b] - E[W x + b] = (W' - W) E[x], which is nothing but another bias. So it is
measured on calibration data and subtracted, as section 4.2 and appendix D of Nagel et al. 2019
say, "Data-Free Quantization Through Weight Equalization and Bias Correction",
https://arxiv.org/abs/1906.04721. Layers are corrected in order, each behind layers that are
rounded and corrected already, so that it also takes in what these left over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Interpreter, Node

from groundspeed.errors import DataError
from groundspeed.export.affine import Linearity
from groundspeed.export.graph import calls, remove_unused
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.quantize.moments import Moments, by_channel, channel_axis, moments
from groundspeed.export.weighted import (
    WEIGHTED,
    NotExact,
    Skipped,
    linearity,
    set_part,
    title,
)
from groundspeed.quantization import quantized, weight_scales

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
    way that ``quantized_weight`` tells. The network runs four times on each sample, and once the
    activations of all samples are in memory together, those of one or two layers at a time.

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

    rounded = GraphModule(graph_module, _copy(graph_module.graph))
    for name, layer in layers.items():
        set_part(rounded, _node(rounded, name), "weight", quantized_weight(name, layer))
    exact = moments(graph_module, layers, samples)
    before = moments(rounded, layers, samples)
    for name, shift in _shifts(rounded, exact, samples).items():
        if shift.any():
            for network in (graph_module, rounded):
                _subtract(network, name, shift)
    after = moments(rounded, layers, samples)
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


def rounding(*, per_channel: bool = True, ops: Collection[str] | None = None) -> QuantizedWeight:
    """Return what the files' quantizers do to weights: 8-bit integers, symmetric.

    Args:
        per_channel: whether each output channel has a scale of its own.
        ops: the canonical ops whose weights become integers; None means all.
    """

    def quantized_weight(name: str, layer: Linearity) -> Tensor:
        if ops is not None and name not in ops:
            return layer.weight
        peaks = layer.output_peaks().float().unsqueeze(1).numpy()
        channels = torch.from_numpy(weight_scales(peaks, per_channel=per_channel))
        scales = layer.over_weight(channels)
        integers = quantized(layer.weight.float().numpy(), scales.numpy())
        return (torch.from_numpy(integers) * scales).to(layer.weight.dtype)

    return quantized_weight


def _shifts(
    rounded: GraphModule, exact: Mapping[str, Moments], samples: Sequence[Sample]
) -> dict[str, Tensor]:
    """Return how far each layer's means are off behind layers that are corrected.

    The samples go through the network side by side, one op at a time: so the shift of a layer is
    known, and taken out, before any of them goes on.
    """
    interpreter = Interpreter(rounded)
    inputs = [node for node in rounded.graph.nodes if node.op == "placeholder"]
    runs: list[dict[Node, Any]] = [dict(zip(inputs, each, strict=True)) for each in samples]
    shifts: dict[str, Tensor] = {}
    for node in rounded.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        for values in runs:
            interpreter.env = values
            with torch.no_grad():
                values[node] = interpreter.run_node(node)
        if node.name in exact:
            shifts[node.name] = _center([values[node] for values in runs], exact[node.name], node)
        for spent in interpreter.user_to_last_uses.get(node, ()):
            for values in runs:
                del values[spent]
    return shifts


def _center(outputs: Sequence[Tensor], exact: Moments, node: Node) -> Tensor:
    """Bring the mean of each channel, over all outputs, to what is exact; return what it was off.

    The outputs are changed in place.
    """
    means = [by_channel(node, output).mean(1) for output in outputs]
    shift = sum(means[1:], means[0]) / len(means) - exact.mean
    for output in outputs:
        output.movedim(channel_axis(node), -1).sub_(shift)
    return shift


def _copy(graph: Graph) -> Graph:
    copied = Graph()
    copies: dict[Node, Node] = {}
    for node in graph.nodes:
        copies[node] = copied.node_copy(node, copies.__getitem__)
    return copied


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
