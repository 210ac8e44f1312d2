"""From a float file that was just written to its integer twin, checked; runs in the child."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from groundspeed.artifact import Parity
from groundspeed.export.check import Checked, check, compare, feeds, flat, open_written
from groundspeed.export.formats import QUANTIZERS
from groundspeed.export.parity import TOLERANCES, agreement
from groundspeed.export.quantize.calibrate import Sample
from groundspeed.export.quantize.divergence import first_beyond
from groundspeed.export.quantize.quantizer import FileQuantizer
from groundspeed.export.quantize.simulate import Simulation
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization

# A file may be off by this many times what the same quantization costs when it is simulated:
# engines round in other places, and noise that is amplified from layer to layer is never equal.
MARGIN = 2.0


def quantize_file(
    program: ExportedProgram,
    reference: nn.Module,
    inputs: Sequence[torch.Tensor],
    written: Written,
    folder: Path,
    quantization: Quantization,
    samples: Sequence[Sample],
    *,
    format: str,
    runtime: str,
    precision: str,
) -> tuple[Written, Checked]:
    """Prove a float file equal to its network, write it with integers, and check that too.

    Args:
        program: the canonical graph.
        reference: the untouched network.
        inputs: example inputs.
        written: the float file.
        folder: where it is.
        quantization: ranges, and what stays in floating point.
        samples: what the integer file is checked on: some of what it was calibrated on.
        format: name of the format.
        runtime: the runtime that opens it.
        precision: "int8" or one of its variants.

    Returns:
        The files, and their parity with the network; if the float file is not equal to the
        graph already, that one and its parity.
    """
    # Not the network that it came from: corrected biases are right for rounded weights only.
    exact = program.module(check_guards=False)
    floating = check(program, exact, inputs, written, folder, runtime=runtime, precision="fp32")
    if not floating.parity.passed:
        return written, floating
    names = program.graph_signature.user_inputs
    ends = {spec.name: str(name) for spec, name in zip(written.inputs, names, strict=True)}
    ties = {**ends, **floating.tensors}
    simulation = Simulation(program, quantization, symmetric=format == "ncnn")
    tolerance = _allowed(_cost(simulation, reference, samples, written))

    def attempt(quantizer: FileQuantizer) -> tuple[Written, Parity]:
        made = quantizer.quantize(written, folder, ties, quantization)
        with closing(open_written(made, folder, runtime=runtime, precision=precision)) as session:
            return made, compare(session, reference, samples, made, tolerance=tolerance)

    quantizer: FileQuantizer = QUANTIZERS.load(f"{format}-{precision}")()
    with _kept(folder) as restore:
        made, parity = attempt(quantizer)
        if not parity.passed and quantizer.careful is not None:
            restore()
            made, parity = attempt(quantizer.careful())
    tensors = dict(floating.tensors)
    for suffix in quantizer.suffixes:
        tensors |= {f"{name}{suffix}": op for name, op in floating.tensors.items()}
    if not parity.passed:
        with closing(open_written(made, folder, runtime=runtime, precision=precision)) as session:
            found = first_beyond(
                program,
                quantization,
                ((each, session.tensors(feeds(each, made.inputs))) for each in samples),
                tensors,
                symmetric=format == "ncnn",
                allowed=_allowed,
            )
        if found is not None:
            parity = replace(parity, first_divergence=str(found), layer=found.layer)
    return made, Checked(parity=parity, tensors=tensors)


def _allowed(predicted: float) -> float:
    """Return the largest relative error that passes where the simulation has this one."""
    return max(TOLERANCES["int8"], MARGIN * predicted)


@contextlib.contextmanager
def _kept(folder: Path) -> Iterator[Callable[[], object]]:
    """Keep the files of a folder aside; yield what puts them back."""
    with tempfile.TemporaryDirectory() as aside:
        shutil.copytree(folder, aside, dirs_exist_ok=True)
        yield lambda: shutil.copytree(aside, folder, dirs_exist_ok=True)


def _cost(
    simulation: Simulation,
    reference: Callable[..., object],
    samples: Sequence[Sample],
    written: Written,
) -> float:
    """Return the largest relative error of the simulated outputs."""
    with torch.no_grad():
        exact = [flat(reference(*sample)) for sample in samples]
    found = [simulation.answers(sample) for sample in samples]
    return max(
        agreement(
            spec.name,
            [outputs[index].numpy() for outputs in exact],
            [outputs[index].numpy() for outputs in found],
        ).max_relative
        for index, spec in enumerate(written.outputs)
    )
