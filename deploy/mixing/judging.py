"""What a set of integer layers would cost and take, before any file is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from groundspeed.deploy.accuracy import Floats, Tally
from groundspeed.deploy.data import Data
from groundspeed.deploy.mixing.subject import Subject
from groundspeed.deploy.mixing.table import Table
from groundspeed.errors import UsageError
from groundspeed.mixing import Candidate


class Accuracy:
    """Tells what sets of integer layers cost, simulated on data.

    Args:
        subject: the network.
        data: samples, with labels or without.

    Raises:
        UsageError: the network gives no scores of classes, so that there is no top-1.
    """

    def __init__(self, subject: Subject, data: Data) -> None:
        self._subject = subject
        self._data = data
        self._exact = list(self._answers(frozenset()))
        if self._tally(self._exact).agreement is None:
            shape = list(self._exact[0][0].shape)
            raise UsageError(
                f"the network's first output has the shape {shape}, which are no scores of "
                "classes, so that no drop of top-1 can be told; export in int8 instead of auto, "
                "with --keep-float where it loses too much"
            )

    @property
    def measure(self) -> str:
        """What a drop is a drop of."""
        if self._data.labels is None:
            return "agreement of top-1 with the float network"
        return "top-1 accuracy"

    def drop(self, chosen: frozenset[str]) -> float:
        """Return the points of top-1 that are lost with these layers in integers."""
        tally = self._tally(self._answers(chosen))
        assert tally.agreement is not None
        won = None if self._data.labels is None else tally.gained - tally.lost
        return points_lost(tally.agreement.value, won, self._data.count)

    def _tally(self, answers: Iterable[list[Floats]]) -> Tally:
        tally, labels, done = Tally(), self._data.labels, 0
        for outputs, exact in zip(answers, self._exact, strict=True):
            # What fills the last batch up is not counted.
            size = min(self._subject.input_shape[0], self._data.count - done)
            tally.add(
                [output[:size] for output in outputs],
                [output[:size] for output in exact],
                None if labels is None else labels[done : done + size],
            )
            done += size
        return tally

    def _answers(self, chosen: frozenset[str]) -> Iterator[list[Floats]]:
        simulation = self._subject.simulation(chosen)
        for batch in self._data.batches(self._subject.input_shape[0]):
            answers = simulation.answers((torch.from_numpy(batch),))
            yield [np.asarray(answer, np.float32) for answer in answers]


class Judging:
    """Judges sets of layers, each once; see ``Judge``.

    Args:
        accuracy: tells what they cost.
        table: tells what they take.
    """

    def __init__(self, accuracy: Accuracy, table: Table) -> None:
        self._accuracy = accuracy
        self._table = table
        self._order = [layer.op for layer in table.choosable]
        self._judged: dict[frozenset[str], Candidate] = {}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All that was judged, in that order."""
        return tuple(self._judged.values())

    def __call__(self, chosen: frozenset[str]) -> Candidate:
        """Return the candidate with the chosen layers in integers.

        Raises:
            ValueError: one of them is no layer that can be.
        """
        if unknown := chosen.difference(self._order):
            raise ValueError(f"no layers to quantize: {', '.join(sorted(unknown))}")
        if chosen not in self._judged:
            self._judged[chosen] = Candidate(
                layers=tuple(op for op in self._order if op in chosen),
                drop=self._accuracy.drop(chosen) if chosen else 0.0,
                predicted_ns=self._table.predicted_ns(chosen),
            )
        return self._judged[chosen]


def points_lost(agreement: float, won: int | None, samples: int) -> float:
    """Return the points of top-1 that are lost against the float network.

    Args:
        agreement: share of samples on whose best class the float network agrees.
        won: samples that are right here alone, less those that are right there alone; None where
            nobody knows what is right: then each that differs counts as lost.
        samples: how many there are.
    """
    return 100 * (1 - agreement) if won is None else -100 * won / samples
