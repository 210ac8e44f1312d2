"""The check of a written file: parity on several inputs, and its tensors tied to the network's ops.

Runs in the converter's child process, because an engine may crash on a file that is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from groundspeed.artifact import Agreement, Parity, TensorSpec
from groundspeed.ends import real, stored
from groundspeed.errors import ArtifactError, ConverterFailed, ParityError
from groundspeed.export.align import Array, align, canonical_values, first_divergence
from groundspeed.export.parity import TOLERANCES, agreement, check_inputs, passes
from groundspeed.export.writer import Written
from groundspeed.measurement import Options
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.session import Runtime, Session

# A set of inputs, and what the network answers to it.
Answered = tuple[tuple[torch.Tensor, ...], list[torch.Tensor]]


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
    with closing(open_written(written, folder, runtime=runtime, precision=precision)) as session:
        tolerance = TOLERANCES[precision]
        parity = compare(session, reference, check_inputs(inputs), written, tolerance=tolerance)
        values = canonical_values(program, inputs)
        tensors = align(values, session.tensors(feeds(inputs, written.inputs)), parity.tolerance)
    if not parity.passed:
        divergence = first_divergence(program, values, tensors.values())
        parity = dataclasses.replace(parity, first_divergence=divergence)
    return Checked(parity=parity, tensors=tensors)


def open_written(written: Written, folder: Path, *, runtime: str, precision: str) -> Session:
    """Open what was written just now.

    Raises:
        ConverterFailed: the runtime does not take it.
    """
    files = {file.role: folder / file.name for file in written.files}
    engine: Runtime = RUNTIMES.load(runtime)()
    try:
        return engine.open(files, Options(precision=precision), written.inputs)
    except ArtifactError as error:
        raise ConverterFailed(f"{runtime} does not open what was written: {error}") from error


def compare(
    session: Session,
    reference: Callable[..., object],
    samples: Sequence[tuple[torch.Tensor, ...]],
    written: Written,
    *,
    tolerance: float,
) -> Parity:
    """Run an open file and a network on several inputs, and return how well they agree.

    Args:
        session: the file.
        reference: the network.
        samples: sets of inputs; to the first the network must have a finite answer.
        written: what the file's inputs and outputs are.
        tolerance: the largest difference that passes, as a share of the largest magnitude.

    Raises:
        ParityError: the network itself answers NaN or infinity.
    """
    answered = _answered(reference, samples)
    agreements = _agreements(session, answered, written)
    return Parity(
        inputs=len(answered),
        tolerance=tolerance,
        agreements=agreements,
        passed=all(passes(each, tolerance) for each in agreements),
    )


def _answered(
    reference: Callable[..., object], samples: Sequence[tuple[torch.Tensor, ...]]
) -> list[Answered]:
    """Return the sets of inputs to check on, with the network's outputs.

    A network may be made for inputs of one kind only (no noise has a logarithm), so that only the
    given inputs must have finite answers; of the others, those without are left out.
    """
    answered: list[Answered] = []
    for sample in samples:
        with torch.no_grad():
            outputs = flat(reference(*sample))
        if all(bool(torch.isfinite(output).all()) for output in outputs):
            answered.append((sample, outputs))
        elif not answered:
            raise ParityError(
                "the network itself answers NaN or infinity to its example inputs, so that no file "
                "can be proven equal to it; check its weights and inputs"
            )
    return answered


def _agreements(
    session: Session, answered: Sequence[Answered], written: Written
) -> tuple[Agreement, ...]:
    expected: list[list[Array]] = [[] for _ in written.outputs]
    found: list[list[Array]] = [[] for _ in written.outputs]
    for sample, outputs in answered:
        answers = session.run(feeds(sample, written.inputs))
        for index, (output, spec) in enumerate(zip(outputs, written.outputs, strict=True)):
            expected[index].append(output.numpy())
            found[index].append(real(answers[spec.name], spec))
    return tuple(
        agreement(spec.name, expected[index], found[index])
        for index, spec in enumerate(written.outputs)
    )


def flat(outputs: object) -> list[torch.Tensor]:
    """Return the tensors of a network's answer, in the order in which torch.export lists them."""
    leaves = torch.utils._pytree.tree_leaves(outputs)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def feeds(inputs: Sequence[torch.Tensor], specs: Sequence[TensorSpec]) -> Mapping[str, Array]:
    """Return inputs of the network as a file takes them."""
    return {
        spec.name: stored(tensor.numpy(), spec) for tensor, spec in zip(inputs, specs, strict=True)
    }
