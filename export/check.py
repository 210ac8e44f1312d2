"""The check of a written file: parity on several inputs, and its tensors tied to the network's ops.

Runs in the converter's child process, because an engine may crash on a file that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from groundspeed.artifact import Agreement, Parity, TensorSpec
from groundspeed.export.align import Array, align, canonical_values, first_divergence
from groundspeed.export.parity import TOLERANCES, agreement, check_inputs, passes
from groundspeed.export.writer import Written
from groundspeed.measurement import Options
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.session import Session


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found: the parity, and the file's tensors with the ops that they belong to."""

    parity: Parity
    tensors: dict[str, str]


def check(
    program: ExportedProgram,
    reference: nn.Module,
    inputs: Sequence[torch.Tensor],
    written: Written,
    folder: Path,
    *,
    runtime: str,
    precision: str,
) -> Checked:
    """Run a written file and the network side by side.

    Args:
        program: the canonical graph that the file was written from.
        reference: the untouched network.
        inputs: example inputs of the network.
        written: what a writer made.
        folder: where its files are.
        runtime: the runtime that opens it.
        precision: what the runtime is asked to compute with.
    """
    options = Options(precision=precision)
    files = {file.role: folder / file.name for file in written.files}
    session: Session = RUNTIMES.load(runtime)().open(files, options, written.inputs)
    try:
        agreements = _agreements(session, reference, inputs, written)
        passed = all(passes(each, precision) for each in agreements)
        tolerance = TOLERANCES[precision]
        values = canonical_values(program, inputs)
        tensors = align(values, session.tensors(_feeds(inputs, written.inputs)), tolerance)
    finally:
        session.close()
    divergence = "" if passed else first_divergence(program, tensors.values())
    return Checked(
        parity=Parity(
            inputs=len(check_inputs(inputs)),
            tolerance=tolerance,
            agreements=agreements,
            passed=passed,
            first_divergence=divergence,
        ),
        tensors=tensors,
    )


def _agreements(
    session: Session, reference: nn.Module, inputs: Sequence[torch.Tensor], written: Written
) -> tuple[Agreement, ...]:
    expected: list[list[Array]] = [[] for _ in written.outputs]
    answered: list[list[Array]] = [[] for _ in written.outputs]
    for sample in check_inputs(inputs):
        with torch.no_grad():
            outputs = _flat(reference(*sample))
        answers = session.run(_feeds(sample, written.inputs))
        for index, (output, spec) in enumerate(zip(outputs, written.outputs, strict=True)):
            expected[index].append(output.numpy())
            answered[index].append(_channels_first(answers[spec.name], spec))
    return tuple(
        agreement(spec.name, expected[index], answered[index])
        for index, spec in enumerate(written.outputs)
    )


def _flat(outputs: object) -> list[torch.Tensor]:
    """Return the tensors of a network's answer, in the order in which torch.export lists them."""
    leaves = torch.utils._pytree.tree_leaves(outputs)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _feeds(inputs: Sequence[torch.Tensor], specs: Sequence[TensorSpec]) -> Mapping[str, Array]:
    feeds = {}
    for tensor, spec in zip(inputs, specs, strict=True):
        array: Array = tensor.numpy()
        if spec.layout == "NHWC":
            array = np.ascontiguousarray(np.moveaxis(array, 1, -1))
        feeds[spec.name] = array.astype(spec.dtype, copy=False)
    return feeds


def _channels_first(array: Array, spec: TensorSpec) -> Array:
    return np.moveaxis(array, -1, 1) if spec.layout == "NHWC" else array
