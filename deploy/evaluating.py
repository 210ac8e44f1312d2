"""Accuracy on real data: how right exported files are, and how far from their float network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundspeed.artifact import Artifact
from groundspeed.deploy.accuracy import Floats, Tally, class_scores
from groundspeed.deploy.answering import FileOnDevice
from groundspeed.deploy.contestants import Contestant, OpenArtifact, OpenNetwork
from groundspeed.deploy.data import Data, load_data
from groundspeed.deploy.evaluation import Evaluation, Scored
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.target import Target
from groundspeed.deploy.tensor_errors import TensorError, tensor_errors
from groundspeed.errors import (
    CheckError,
    DataError,
    DeviceLost,
    DeviceRefused,
    GroundspeedError,
    InputError,
    MissingExtra,
    UnknownName,
    UsageError,
)

if TYPE_CHECKING:
    from groundspeed.deploy.sources import Network

TENSOR_SAMPLES = 4

OnProgress = Callable[[str, int, int], None]
Opener = Callable[[str, Artifact], Contestant]


def evaluate(
    artifacts: Mapping[str, Artifact],
    data: str | Data,
    *,
    network: Network | None = None,
    reference: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 1,
    per_tensor: bool = False,
    target: Target | None = None,
    cpus: tuple[int, ...] = (),
    on_progress: OnProgress | None = None,
    on_sentence: Callable[[str], None] = lambda sentence: None,
) -> Evaluation:
    """Run files on data, each on its own runtime in a process of its own.

    Everything is compared with the network if one is given, else with the artifact that
    ``reference`` names, else with the first of precision fp32.

    Args:
        artifacts: name -> what to evaluate.
        data: what the user names, as in :func:`groundspeed.deploy.data.load_data`, or the samples.
        network: the float network, run in PyTorch.
        reference: name of the artifact to compare with.
        samples: how many samples at most of what is named; None for all.
        seed: of the choice among more.
        threads: threads for each runtime.
        per_tensor: whether to compare the tensors inside the files too, on a few samples.
        target: the machine that runs the files; None is this one.
        cpus: CPUs to stay on there; empty leaves it to the system.
        on_progress: called with what is being done, how much of it is done, and how much there is.
        on_sentence: called with what a device says meanwhile.

    Raises:
        UsageError: the files do not belong together, or nothing can be the reference; or tensors
            are to be compared on a device.
        DeviceLost, DeviceRefused: the device went away, or will not do it.
        DataError: the data cannot be used.
        ArtifactError: a file is damaged.
        CheckError: the reference failed. Where another file fails, its row says so.
    """
    device = None if isinstance(target, LocalTarget) else target
    if per_tensor and device is not None:
        raise UsageError(
            f"the tensors inside files can be read on this machine only, not on {device.name}; "
            "leave out --per-tensor, or --on"
        )

    def contestant(name: str, artifact: Artifact) -> Contestant:
        if device is None:
            return OpenArtifact(name, artifact, threads, cpus)
        return FileOnDevice(
            name, artifact, device, threads=threads, cpus=cpus, on_progress=on_sentence
        )

    with contextlib.ExitStack() as opened:
        evaluator = _Evaluator(contestant, on_progress)
        opened.callback(evaluator.close)
        if network is not None:
            evaluator.add(OpenNetwork(network))
        for name, artifact in artifacts.items():
            evaluator.open(name, artifact)
        evaluator.choose_reference(reference, has_network=network is not None)
        if per_tensor:
            evaluator.tied_reference()
        loaded = data
        if not isinstance(loaded, Data):
            loaded = load_data(loaded, shape=evaluator.shape, limit=samples, seed=seed)
        evaluator.score(loaded)
        if per_tensor:
            evaluator.compare_tensors(loaded)
        found = evaluator.evaluation(loaded)
        return found if device is None else replace(found, device=device.name)


@dataclass(eq=False)
class _Entry:
    """One contestant, and what is known of it so far; one that failed has an error."""

    name: str
    artifact: Artifact | None = None
    contestant: Contestant | None = None
    tally: Tally = field(default_factory=Tally)
    tensors: tuple[TensorError, ...] = ()
    error: str | None = None

    @property
    def is_float(self) -> bool:
        return self.artifact is not None and self.artifact.manifest.precision == "fp32"

    @property
    def failure(self) -> str:
        return f"{self.name} cannot be evaluated: {self.error}"

    def row(self, *, labelled: bool, compared: bool) -> Scored:
        manifest, tally = self.artifact and self.artifact.manifest, self.tally
        if self.error is not None:
            labelled = compared = False
        paired = labelled and compared and tally.top1 is not None
        return Scored(
            name=self.name,
            runtime=manifest.runtime if manifest else "pytorch",
            precision=manifest.precision if manifest else "fp32",
            size_bytes=self.artifact.size_bytes if self.artifact else None,
            top1=tally.top1 if labelled else None,
            top5=tally.top5 if labelled else None,
            agreement=tally.agreement if compared else None,
            lost=tally.lost if paired else None,
            gained=tally.gained if paired else None,
            sqnr_db=tally.sqnr_db if compared else None,
            tensors=self.tensors,
            error=self.error,
        )


class _Evaluator:
    """The contestants of one evaluation."""

    def __init__(self, contestant: Opener, on_progress: OnProgress | None) -> None:
        self._contestant = contestant
        self._on_progress = on_progress
        self._entries: list[_Entry] = []
        self._reference: _Entry | None = None

    def add(self, contestant: Contestant, artifact: Artifact | None = None) -> None:
        self._entries.append(_Entry(name=contestant.name, artifact=artifact, contestant=contestant))

    def open(self, name: str, artifact: Artifact) -> None:
        """Open a file; one that crashes its engine is a result, one that is damaged an error."""
        try:
            self.add(self._contestant(name, artifact), artifact)
        except CheckError as error:
            self._entries.append(_Entry(name=name, artifact=artifact, error=str(error)))

    def close(self) -> None:
        for entry in self._entries:
            if entry.contestant is not None:
                entry.contestant.close()

    def choose_reference(self, wanted: str | None, *, has_network: bool) -> None:
        files = {entry.name: entry for entry in self._entries if entry.artifact}
        if wanted is not None and (has_network or wanted not in files):
            raise UsageError(
                f"{wanted} cannot be the reference: it must be one of the artifacts, and the "
                "network is the reference where one is given"
            )
        if has_network:
            self._reference = self._entries[0]
        elif wanted is not None:
            self._reference = files[wanted]
        else:
            self._reference = next((entry for entry in files.values() if entry.is_float), None)
        if self._reference is not None and self._reference.error is not None:
            raise CheckError(self._reference.failure)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of everybody's input; only the batches may differ."""
        shapes = {contestant.name: contestant.shape for _, contestant in self._going()}
        if not shapes:
            raise CheckError(self._entries[0].failure)
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
        size = max(contestant.at_once for _, contestant in self._going())
        for start in range(0, data.count, size):
            self._tell("evaluating samples", start, data.count)
            stop = min(start + size, data.count)
            labels = None if data.labels is None else data.labels[start:stop]
            answers = self._answers(np.stack([data[index] for index in range(start, stop)]))
            expected = next((outs for entry, outs in answers if entry is self._reference), None)
            for entry, outputs in answers:
                self._tally(entry, outputs, expected, labels, data.name)
        self._tell("evaluating samples", data.count, data.count)

    def tied_reference(self) -> OpenArtifact:
        """Return the reference, whose tensors are tied to the network's ops."""
        contestant = self._reference and self._reference.contestant
        if not isinstance(contestant, OpenArtifact) or not contestant.artifact.manifest.tensors:
            raise UsageError(
                "tensors can be compared only with those of a float artifact that Groundspeed "
                "exported; name one with --reference, without --network"
            )
        return contestant

    def compare_tensors(self, data: Data) -> None:
        """Compare the tensors of everybody's file with those of the reference's."""
        reference = self.tied_reference()
        samples = [data[index][None] for index in range(min(TENSOR_SAMPLES, data.count))]
        for done, (entry, contestant) in enumerate(self._going()):
            self._tell("comparing tensors", done, len(self._entries))
            if contestant is reference or not isinstance(contestant, OpenArtifact):
                continue
            try:
                entry.tensors = tensor_errors(reference, contestant, samples)
            except CheckError as error:
                entry.error = str(error)

    def evaluation(self, data: Data) -> Evaluation:
        reference, labelled = self._reference, data.labels is not None
        return Evaluation(
            data=data.name,
            samples=data.count,
            labelled=labelled,
            reference=reference.name if reference else None,
            rows=tuple(
                entry.row(labelled=labelled, compared=reference not in (None, entry))
                for entry in self._entries
            ),
            notes=data.notes,
        )

    def _going(self) -> list[tuple[_Entry, Contestant]]:
        return [
            (entry, entry.contestant)
            for entry in self._entries
            if entry.contestant is not None and entry.error is None
        ]

    def _answers(self, samples: Floats) -> list[tuple[_Entry, list[Floats]]]:
        going = self._going()
        for _, contestant in going:
            contestant.ask(samples)
        answers = []
        for entry, contestant in going:
            try:
                answers.append((entry, contestant.answers()))
            except (MissingExtra, UnknownName, DeviceLost, DeviceRefused):
                raise  # nothing about the file
            except GroundspeedError as error:
                entry.error = str(error)
                if entry is self._reference:
                    raise CheckError(entry.failure) from error
        return answers

    def _tally(
        self,
        entry: _Entry,
        outputs: Sequence[Floats],
        expected: Sequence[Floats] | None,
        labels: NDArray[np.int64] | None,
        data: str,
    ) -> None:
        if labels is not None:
            check_labels(labels, outputs, data)
        try:
            entry.tally.add(outputs, expected, labels)
        except InputError as error:
            assert self._reference is not None
            raise UsageError(
                f"{entry.name} and {self._reference.name} do not fit: {error}"
            ) from error

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(what, done, total)


def check_labels(labels: NDArray[np.int64], outputs: Sequence[Floats], data: str) -> None:
    """Refuse classes that the network does not know.

    Args:
        labels: classes of some samples.
        outputs: what a network answered to any samples.
        data: what the samples are, for the message.

    Raises:
        DataError: there is one.
    """
    scores = class_scores(outputs)
    if scores is not None and labels.max() >= scores.shape[1]:
        raise DataError(
            f"{data}: a sample has the class {labels.max()}, and the network knows "
            f"{scores.shape[1]} classes, from 0; check that data and network belong together"
        )
