"""What quantization costs each layer, and what each layer's quantization costs the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch.export import ExportedProgram

from groundspeed.export.graph import module_path
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.quantization import LayerLoss, Quantization, sqnr_db


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
    noise = _noise_of_layers(program, quantization, samples, {each.stored for each in chosen})
    references = [Simulation(program, quantization, only=()).answers(each) for each in samples]
    lost = []
    for number, layer in enumerate(chosen, start=1):
        if on_progress is not None:
            on_progress(f"sensitivity of layer {number} of {len(chosen)}")
        alone = Simulation(program, quantization, only={layer.op})
        answers = [alone.answers(sample) for sample in samples]
        lost.append(
            LayerLoss(
                op=layer.op,
                module=modules[layer.op],
                sqnr_db=noise[layer.stored],
                output_sqnr_db=output_sqnr_db(references, answers),
            )
        )
    return tuple(lost)


def output_sqnr_db(
    references: Iterable[Sequence[torch.Tensor]], answers: Iterable[Sequence[torch.Tensor]]
) -> float:
    """Return the signal to noise ratio of all outputs over all samples, in decibels."""
    signal = noise = 0.0
    for reference, answer in zip(references, answers, strict=True):
        for exact, found in zip(reference, answer, strict=True):
            signal += _power(exact)
            noise += _power(found - exact)
    return sqnr_db(signal, noise)


def _noise_of_layers(
    program: ExportedProgram,
    quantization: Quantization,
    samples: Sequence[Sample],
    names: set[str],
) -> dict[str, float]:
    """Return the signal to noise ratio of tensors when the whole network is quantized."""
    exact: dict[str, torch.Tensor] = {}
    signal: dict[str, float] = defaultdict(float)
    noise: dict[str, float] = defaultdict(float)

    def keep(name: str, values: torch.Tensor) -> None:
        if name in names:
            exact[name] = values

    def weigh(name: str, values: torch.Tensor) -> None:
        if name in names:
            signal[name] += _power(exact[name])
            noise[name] += _power(values - exact[name])

    plain = Simulation(program, quantization, only=(), watch=keep)
    whole = Simulation(program, quantization, watch=weigh)
    for sample in samples:
        plain.answers(sample)
        whole.answers(sample)
    return {name: sqnr_db(signal[name], noise[name]) for name in names}


def _power(values: torch.Tensor) -> float:
    return float(values.double().square().sum())
