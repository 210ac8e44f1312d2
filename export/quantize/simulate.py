"""Quantization simulated in PyTorch: what integers would do to the values, computed in float.

Every tensor is put on the grid of its integers ("fake quantization", Jacob et al. 2018, section 3),
as a format does that computes with integers throughout. It shows what quantization costs a network
before any file is written, it is the yardstick of the files, and with a single layer quantized it
tells how sensitive that layer is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from groundspeed.export.graph import value_name
from groundspeed.export.quantize.movement import CLAMPS, fused_activations, moves
from groundspeed.quantization import Quantization, Range, quantized, weight_scales

aten = torch.ops.aten

# Ops with a weight whose first dimension is the output channels.
LAYERS = frozenset(
    {aten.conv1d.default, aten.conv2d.default, aten.conv2d.padding, aten.linear.default}
)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution or linear layer of the canonical graph.

    Attributes:
        op: name of its node.
        stored: name of the node whose values an engine stores: the layer itself, or the last of
            the activations that are fused into it.
        members: all nodes from the one to the other.
    """

    op: str
    stored: str
    members: tuple[str, ...]


def layers(program: ExportedProgram) -> tuple[Layer, ...]:
    """Return the layers that can be quantized, in order of computation."""
    found = []
    for node in program.graph.nodes:
        if node.op == "call_function" and node.target in LAYERS:
            names = (node.name, *(behind.name for behind in fused_activations(node)))
            found.append(Layer(op=node.name, stored=names[-1], members=names))
    return tuple(found)


class Simulation(Interpreter):
    """The canonical graph with its tensors on the grids of their integers.

    Args:
        program: the canonical graph.
        quantization: the ranges, and what stays in floating point.
        only: the layers to quantize, with their inputs and outputs; None quantizes every tensor.
        symmetric: whether the zero point of activations is 0, as in ncnn, but for what one
            convolution in integers hands on to others, or to maximum pooling before others.
        watch: called with the name and value of each tensor that an op computes.
        module: the program as a module, to share with another simulation; None makes one.
    """

    def __init__(
        self,
        program: ExportedProgram,
        quantization: Quantization,
        *,
        only: Collection[str] | None = None,
        symmetric: bool = False,
        watch: Callable[[str, torch.Tensor], None] | None = None,
        module: torch.nn.Module | None = None,
    ) -> None:
        super().__init__(module or program.module(check_guards=False))
        self._watch = watch
        self._quantization = quantization
        self._symmetric = symmetric
        floats = quantization.float_ops or {}
        chosen = [layer for layer in layers(program) if layer.op not in floats]
        if only is not None:
            chosen = [layer for layer in chosen if layer.op in only]
        self._layers = frozenset(layer.op for layer in chosen)
        self._handed_on = frozenset(_handed_on(program, chosen, quantization.ranges))
        nodes: Iterable[Node] = program.graph.nodes
        self._gridded = frozenset(
            (layer.stored for layer in chosen)
            if only is not None
            else (name for name in _stored(nodes) if name not in floats)
        )
        self._weights: dict[str, torch.Tensor] = {}

    def answers(
        self, inputs: tuple[torch.Tensor, ...], known: Mapping[Node, Any] | None = None
    ) -> list[torch.Tensor]:
        """Return what the network answers to one set of inputs.

        Args:
            inputs: the inputs.
            known: node of the module -> what it computes from them; it is not computed again.
        """
        with torch.no_grad():
            answer = self.run(*inputs, initial_env=dict(known or {}))
        return [answer] if isinstance(answer, torch.Tensor) else list(answer)

    def values(self, inputs: tuple[torch.Tensor, ...]) -> dict[Node, Any]:
        """Return what each node of the module computes from one set of inputs."""
        self.garbage_collect_values = False
        with torch.no_grad():
            self.run(*inputs)
        found, self.env, self.garbage_collect_values = self.env, {}, True
        return found

    def run_node(self, n: Node) -> Any:
        """Compute one op, on quantized weights where it has some."""
        result = self._layer(n) if n.name in self._layers else super().run_node(n)
        name = value_name(n)
        if name in self._gridded:
            result = self._on_grid(name, result)
        if self._watch is not None and isinstance(result, torch.Tensor):
            self._watch(name, result)
        return result

    def _layer(self, node: Node) -> Any:
        arguments, keywords = self.fetch_args_kwargs_from_env(node)
        values, weight, *others = arguments
        # On the grid already, unless what computes it is in floating point.
        values = self._on_grid(value_name(node.all_input_nodes[0]), values)
        if node.name not in self._weights:
            self._weights[node.name] = fake_weight(
                weight, per_channel=self._quantization.per_channel
            )
        return node.target(values, self._weights[node.name], *others, **keywords)  # type: ignore[operator]

    def _on_grid(self, name: str, values: torch.Tensor) -> torch.Tensor:
        found = self._quantization.ranges.get(name)
        if found is None:
            return values
        if self._symmetric and name in self._handed_on:
            scale, zero_point = found.asymmetric(-127, 127)
            return torch.fake_quantize_per_tensor_affine(values, scale, zero_point, -127, 127)
        return fake_values(values, found, symmetric=self._symmetric)


def _handed_on(
    program: ExportedProgram, chosen: Iterable[Layer], ranges: Mapping[str, Range]
) -> Iterator[str]:
    """Yield the tensors that only convolutions among the layers chosen compute and read.

    Tensors without negative values may be pooled in between; what is pooled comes too.
    """
    convolutions = {aten.conv2d.default, aten.conv2d.padding}
    nodes = {node.name: node for node in program.graph.nodes}
    found = [layer for layer in chosen if nodes[layer.op].target in convolutions]
    ops = {layer.op for layer in found}
    for layer in found:
        readers, known = list(nodes[layer.stored].users), ranges.get(layer.stored)
        pools = [reader for reader in readers if reader.target is aten.max_pool2d.default]
        if pools == readers and known is not None and known.low == 0:
            readers = [reader for pool in pools for reader in pool.users]
        if all(reader.name in ops for reader in readers):
            yield from (layer.stored, *(pool.name for pool in pools))


def fake_weight(weight: torch.Tensor, *, per_channel: bool) -> torch.Tensor:
    """Return a weight on the grid of its symmetric integers."""
    array = weight.detach().numpy()
    scales = weight_scales(array, per_channel=per_channel).reshape(-1, *[1] * (array.ndim - 1))
    integers = quantized(array, scales).astype(np.float32)
    return torch.from_numpy(integers * scales)


def fake_values(values: torch.Tensor, found: Range, *, symmetric: bool) -> torch.Tensor:
    """Return activations on the grid of their 8-bit integers."""
    if symmetric:
        return torch.fake_quantize_per_tensor_affine(values, found.symmetric(), 0, -127, 127)
    scale, zero_point = found.asymmetric(-128, 127)
    return torch.fake_quantize_per_tensor_affine(values, scale, zero_point, -128, 127)


def _stored(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield the tensors that an engine stores and that are computed, not only moved."""
    for node in nodes:
        if node.op == "placeholder" or (node.op == "call_function" and not moves(node)):
            followers = list(node.users)
            if len(followers) != 1 or followers[0].target not in CLAMPS:
                yield node.name
