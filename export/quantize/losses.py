"""What quantization costs each layer, and what each layer's quantization costs the network.

A network with a single layer quantized computes floats up to that layer, the same ones for every
layer. So they are computed once for each sample, and each layer's simulation begins at the layer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.fx import Graph, Node

from groundspeed.export.graph import module_path, value_name
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.quantization import LayerLoss, Quantization, sqnr_db


@dataclass
class _Ratio:
    """Signal and noise, added up."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, exact: torch.Tensor, found: torch.Tensor) -> None:
        self.signal += _power(exact)
        self.noise += _power(found - exact)

    @property
    def db(self) -> float:
        return sqnr_db(self.signal, self.noise)


def losses(
    program: ExportedProgram,
    quantization: Quantization,
    samples: Sequence[Sample],
    *,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[LayerLoss, ...]:
    """Return what quantization costs, layer by layer, as simulated on some samples.

    Args:
        program: the canonical graph.
        quantization: ranges, and what stays in floating point: such layers are left out.
        samples: inputs; a few are enough to rank layers.
        on_progress: called with a short sentence now and then.
    """
    floats = quantization.float_ops or {}
    chosen = [layer for layer in layers(program) if layer.op not in floats]
    modules = {node.name: module_path(node) for node in program.graph.nodes}
    own = {layer.stored: _Ratio() for layer in chosen}
    outputs = {layer.op: _Ratio() for layer in chosen}
    exact: dict[str, Any] = {}

    def weigh(name: str, found: torch.Tensor) -> None:
        if name in own:
            own[name].add(exact[name], found)

    plain = Simulation(program, quantization, only=())
    simulate = functools.partial(Simulation, program, quantization, module=plain.module)
    whole, alone = simulate(watch=weigh), {op: simulate(only={op}) for op in outputs}
    anew = {op: _computed_anew(plain.graph, op) for op in outputs}
    for number, sample in enumerate(samples, start=1):
        if on_progress is not None:
            on_progress(f"sensitivity of {len(chosen)} layers, sample {number} of {len(samples)}")
        values = plain.values(sample)
        exact.update((value_name(node), value) for node, value in values.items())
        whole.answers(sample)
        references = plain.answers(sample)
        for op, simulation in alone.items():
            known = {node: value for node, value in values.items() if node not in anew[op]}
            for reference, answer in zip(
                references, simulation.answers(sample, known), strict=True
            ):
                outputs[op].add(reference, answer)
    return tuple(
        LayerLoss(
            op=layer.op,
            module=modules[layer.op],
            sqnr_db=own[layer.stored].db,
            output_sqnr_db=outputs[layer.op].db,
        )
        for layer in chosen
    )


def output_sqnr_db(
    references: Iterable[Sequence[torch.Tensor]], answers: Iterable[Sequence[torch.Tensor]]
) -> float:
    """Return the signal to noise ratio of all outputs over all samples, in decibels."""
    ratio = _Ratio()
    for reference, answer in zip(references, answers, strict=True):
        for exact, found in zip(reference, answer, strict=True):
            ratio.add(exact, found)
    return ratio.db


def _computed_anew(graph: Graph, op: str) -> set[Node]:
    """Return the nodes whose values change with those of one op, and the output."""
    if any(
        isinstance(node.target, OpOverload) and node.target._schema.is_mutable
        for node in graph.nodes
    ):
        # What one op writes into, another one made: no value is safe to keep.
        return set(graph.nodes)
    found: set[Node] = set()
    for node in graph.nodes:
        if node.name == op or node.op == "output" or not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def _power(values: torch.Tensor) -> float:
    return float(values.double().square().sum())
