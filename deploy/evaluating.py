"""Accuracy on real data: how right exported files are, and how far from their float network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from groundspeed.artifact import Artifact
from groundspeed.deploy.accuracy import Floats, Proportion, Tally, class_scores
from groundspeed.deploy.contestants import Contestant, OpenArtifact, OpenNetwork
from groundspeed.deploy.data import Data, load_data
from groundspeed.deploy.tensor_errors import TensorError, tensor_errors
from groundspeed.errors import CheckError, DataError, GroundspeedError, InputError, UsageError

if TYPE_CHECKING:
    from groundspeed.deploy.sources import Network

CHUNK = 16  # samples that travel to the engines together
TENSOR_SAMPLES = 4

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What one file, or the network itself, makes of the data.

    Attributes:
        name: what the user calls it.
        runtime: what runs it; "pytorch" for the network.
        precision: what it computes with.
        size_bytes: size of its files; None for the network.
        top1: share of samples whose class has the highest score; None without labels or classes.
        top5: share of samples whose class is among the five highest; None below five classes.
        agreement: share of samples on whose best class the reference agrees; None without one.
        lost: labelled samples that only the reference has right; None without labels or reference.
        gained: labelled samples that only this one has right; None likewise.
        sqnr_db: power of the reference's outputs over that of the difference, in decibels;
            infinite when there is none, None without a reference.
        tensors: the same for each tensor, worst first, where it was asked for.
        error: why there are no results; None when there are.
    """

    name: str
    runtime: str
    precision: str
    size_bytes: int | None
    top1: Proportion | None = None
    top5: Proportion | None = None
    agreement: Proportion | None = None
    lost: int | None = None
    gained: int | None = None
    sqnr_db: float | None = None
    tensors: tuple[TensorError, ...] = ()
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Several files, and perhaps their network, on the same samples.

    Attributes:
        data: what the samples are, in words.
        samples: how many.
        labelled: whether their classes are known.
        reference: name of what the others are compared with; None if there is none.
        rows: one for each file, the network first if there is one.
        notes: how the data were prepared and what is odd about them.
    """

    data: str
    samples: int
    labelled: bool
    reference: str | None
    rows: tuple[Scored, ...]
    notes: tuple[str, ...]


def evaluate(
    artifacts: Mapping[str, Artifact],
    data: str,
    *,
    network: Network | None = None,
    reference: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 1,
    per_tensor: bool = False,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Run files on data, each on its own runtime in a process of its own.

    Everything is compared with the network if one is given, else with the artifact that
    ``reference`` names, else with the first of precision fp32.

    Args:
        artifacts: name -> what to evaluate.
        data: what the user names, as in :func:`groundspeed.deploy.data.load_data`.
        network: the float network, run in PyTorch.
        reference: name of the artifact to compare with.
        samples: how many samples at most; None for all.
        seed: of the choice among more.
        threads: threads for each runtime.
        per_tensor: whether to compare the tensors inside the files too, on a few samples.
        on_progress: called with what is being done, how much of it is done, and how much there is.

    Raises:
        UsageError: the files do not belong together, or nothing can be the reference.
        DataError: the data cannot be used.
        ArtifactError: a file is damaged.
        CheckError: the reference failed. Where another file fails, its row says so.
    """
    with contextlib.ExitStack() as opened:
        evaluator = _Evaluator(on_progress)
        opened.callback(evaluator.close)
        if network is not None:
            evaluator.add(OpenNetwork(network))
        for name, artifact in artifacts.items():
            evaluator.open(name, artifact, threads)
        evaluator.choose_reference(reference, has_network=network is not None)
        if per_tensor:
            evaluator.tied_reference()
        loaded = load_data(data, shape=evaluator.shape, limit=samples, seed=seed)
        evaluator.score(loaded)
        if per_tensor:
            evaluator.compare_tensors(loaded)
        return Evaluation(
            data=loaded.name,
            samples=loaded.count,
            labelled=loaded.labels is not None,
            reference=evaluator.reference,
            rows=evaluator.rows(labelled=loaded.labels is not None),
            notes=loaded.notes,
        )


class _Evaluator:
    """The contestants of one evaluation, those among them that failed, and their tallies."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._contestants: dict[str, Contestant] = {}
        self._artifacts: dict[str, Artifact] = {}
        self._tallies: dict[str, Tally] = {}
        self._errors: dict[str, str] = {}
        self._tensors: dict[str, tuple[TensorError, ...]] = {}
        self.reference: str | None = None

    def open(self, name: str, artifact: Artifact, threads: int) -> None:
        """Open a file; one that crashes its engine is a result, one that is damaged an error."""
        self._artifacts[name] = artifact
        try:
            self.add(OpenArtifact(name, artifact, threads))
        except CheckError as error:
            self._errors[name] = str(error)

    def add(self, contestant: Contestant) -> None:
        self._contestants[contestant.name] = contestant
        self._tallies[contestant.name] = Tally()

    def close(self) -> None:
        for contestant in self._contestants.values():
            contestant.close()

    def choose_reference(self, wanted: str | None, *, has_network: bool) -> None:
        floats = [n for n, each in self._artifacts.items() if each.manifest.precision == "fp32"]
        if wanted is not None and (has_network or wanted not in self._artifacts):
            raise UsageError(
                f"{wanted} cannot be the reference: it must be one of the artifacts, and the "
                "network is the reference where one is given"
            )
        network = next(iter(self._contestants)) if has_network else None
        self.reference = network or wanted or next(iter(floats), None)
        if self.reference is not None and self.reference in self._errors:
            raise CheckError(self._failure(self.reference))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of everybody's input; only the batches may differ."""
        shapes = {name: each.shape for name, each in self._contestants.items()}
        if not shapes:
            raise CheckError(self._failure(next(iter(self._errors))))
        (first, shape), *others = shapes.items()
        for name, other in others:
            if other[1:] != shape[1:]:
                raise InputError(
                    f"{first} takes {list(shape[1:])} and {name} {list(other[1:])} for each "
                    "sample; evaluate files of one input shape together"
                )
        return shape

    def score(self, data: Data) -> None:
        """Let everybody answer all samples."""
        size = max(CHUNK, *(each.shape[0] for each in self._contestants.values()))
        for start in range(0, data.count, size):
            self._tell("evaluating samples", start, data.count)
            chosen = range(start, min(start + size, data.count))
            samples = np.stack([data[index] for index in chosen])
            labels = None if data.labels is None else data.labels[chosen.start : chosen.stop]
            answers = self._answers(samples)
            expected = answers.get(self.reference) if self.reference else None
            for name, outputs in answers.items():
                if labels is not None:
                    _check_labels(labels, outputs, data.name)
                try:
                    self._tallies[name].add(outputs, expected, labels)
                except InputError as error:
                    raise UsageError(f"{name} and {self.reference} do not fit: {error}") from error
        self._tell("evaluating samples", data.count, data.count)

    def tied_reference(self) -> OpenArtifact:
        """Return the reference, whose tensors are tied to the network's ops."""
        reference = self._contestants.get(self.reference or "")
        if not isinstance(reference, OpenArtifact) or not reference.artifact.manifest.tensors:
            raise UsageError(
                "tensors can be compared only with those of a float artifact that Groundspeed "
                "exported; name one with --reference, without --network"
            )
        return reference

    def compare_tensors(self, data: Data) -> None:
        """Compare the tensors of everybody's file with those of the reference's."""
        reference = self.tied_reference()
        for done, (name, contestant) in enumerate(self._going().items()):
            self._tell("comparing tensors", done, len(self._contestants))
            if contestant is reference or not isinstance(contestant, OpenArtifact):
                continue
            samples = [data[index][None] for index in range(min(TENSOR_SAMPLES, data.count))]
            try:
                self._tensors[name] = tensor_errors(reference, contestant, samples)
            except CheckError as error:
                self._errors[name] = str(error)

    def rows(self, *, labelled: bool) -> tuple[Scored, ...]:
        names = dict.fromkeys([*self._contestants, *self._artifacts])
        return tuple(self._row(name, labelled=labelled) for name in names)

    def _row(self, name: str, *, labelled: bool) -> Scored:
        artifact = self._artifacts.get(name)
        about = Scored(
            name=name,
            runtime=artifact.manifest.runtime if artifact else "pytorch",
            precision=artifact.manifest.precision if artifact else "fp32",
            size_bytes=artifact.size_bytes if artifact else None,
            error=self._errors.get(name),
        )
        if about.error is not None:
            return about
        tally = self._tallies[name]
        compared = self.reference is not None and name != self.reference
        paired = compared and labelled and tally.top1 is not None
        return replace(
            about,
            top1=tally.top1 if labelled else None,
            top5=tally.top5 if labelled else None,
            agreement=tally.agreement if compared else None,
            lost=tally.lost if paired else None,
            gained=tally.gained if paired else None,
            sqnr_db=tally.sqnr_db if compared else None,
            tensors=self._tensors.get(name, ()),
        )

    def _going(self) -> dict[str, Contestant]:
        return {name: one for name, one in self._contestants.items() if name not in self._errors}

    def _answers(self, samples: Floats) -> dict[str, list[Floats]]:
        going = self._going()
        for contestant in going.values():
            contestant.ask(samples)
        answers = {}
        for name, contestant in going.items():
            try:
                answers[name] = contestant.answers()
            except GroundspeedError as error:
                self._errors[name] = str(error)
                if name == self.reference:
                    raise CheckError(self._failure(name)) from error
        return answers

    def _failure(self, name: str) -> str:
        return f"{name} cannot be evaluated: {self._errors[name]}"

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(what, done, total)


def _check_labels(labels: np.ndarray, outputs: Sequence[Floats], data: str) -> None:
    scores = class_scores(outputs)
    if scores is not None and labels.max() >= scores.shape[1]:
        raise DataError(
            f"{data}: a sample has the class {labels.max()}, and the network knows "
            f"{scores.shape[1]} classes, from 0; check that data and network belong together"
        )
