"""What helps a network that quantization hurts: equalized layers, corrected biases, each measured.

Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from torch.fx import GraphModule

from groundspeed.artifact import Step
from groundspeed.export.graph import editable
from groundspeed.export.prepare import BY, Prepared, retrace
from groundspeed.export.quantize.bias_correction import correct_bias, rounding
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.quantize.equalize import equalize

# Changes a graph in place, and says what it did, a sentence each.
Repair = Callable[[GraphModule], tuple[str, ...]]


def repair(
    prepared: Prepared,
    repairs: dict[str, Repair],
    output_sqnr_db: Callable[[Prepared], float],
) -> Prepared:
    """Return the network after the repairs that helped; its steps state what each of them gained.

    Args:
        prepared: the folded network, which stays as it is.
        repairs: name of the step -> what it does, in order.
        output_sqnr_db: how well the quantized network answers, as simulated.
    """
    before = output_sqnr_db(prepared) if repairs else 0.0
    for name, change in repairs.items():
        graph_module = editable(prepared.program)
        notes = change(graph_module)
        program = retrace(graph_module, prepared.inputs)
        changed = replace(prepared, program=program)
        after = output_sqnr_db(changed)
        gain = f"outputs over quantization noise, simulated: {before:.1f} dB, then {after:.1f} dB"
        if after < before:
            step = Step(name=name, by=BY, notes=(f"undone, for it does not help here; {gain}",))
            prepared = replace(prepared, steps=(*prepared.steps, step))
        else:
            step = Step(name=name, by=BY, notes=(*notes, gain))
            prepared, before = replace(changed, steps=(*prepared.steps, step)), after
    return prepared


def equalizing(graph_module: GraphModule) -> tuple[str, ...]:
    """Equalize the ranges of channels across layers; a ``Repair``."""
    done = equalize(graph_module)
    left = [f"not equalized: {each.module} {each.reason}" for each in done.skipped]
    return (
        f"{len(done.pairs)} pairs of layers equalized, their ranges {done.gain:.2f} times as even",
        *left,
    )


def correcting_bias(
    samples: Sequence[Sample], *, per_channel: bool, ops: Collection[str]
) -> Repair:
    """Return what takes the mean error of rounded weights off the biases; a ``Repair``.

    Args:
        samples: calibration data.
        per_channel: whether each output channel of a weight has a scale of its own.
        ops: the canonical ops whose weights become integers.
    """

    def change(graph_module: GraphModule) -> tuple[str, ...]:
        done = correct_bias(graph_module, samples, rounding(per_channel=per_channel, ops=ops))
        left = [f"bias not corrected: {each.module} {each.reason}" for each in done.skipped]
        return (f"biases of {len(done.layers)} layers corrected on {done.samples} samples", *left)

    return change
