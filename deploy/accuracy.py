"""How right a network's answers are, and how far they are from a reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.statistics import CONFIDENCE
from groundspeed.errors import InputError
from groundspeed.quantization import sqnr_db

Floats = NDArray[np.float32]
TOP = 5


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """A share of samples, and how far it can be trusted.

    Attributes:
        count: samples of which it is true.
        total: all samples.
        value: their ratio.
        low: lower end of Wilson's score interval at 95 % (E. B. Wilson 1927, "Probable Inference,
            the Law of Succession, and Statistical Inference").
        high: its upper end.
    """

    count: int
    total: int
    value: float
    low: float
    high: float

    @staticmethod
    def of(count: int, total: int) -> Proportion:
        """Return the proportion of ``count`` in ``total``, which is at least 1."""
        # Imported here: the statistics of scipy take a second to import.
        from scipy.stats import binomtest  # type: ignore[import-untyped]

        interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
        return Proportion(
            count=count,
            total=total,
            value=count / total,
            low=float(interval.low),
            high=float(interval.high),
        )


class Noise:
    """The power of a signal, and of what differs from it; fed piece by piece."""

    def __init__(self) -> None:
        self._signal = 0.0
        self._difference = 0.0

    def add(self, expected: NDArray[np.generic], found: NDArray[np.generic]) -> None:
        """Take in values of the reference, and as many values to compare with them."""
        wide = expected.astype(np.float64)
        self._signal += float(np.sum(wide**2))
        self._difference += float(np.sum((found.astype(np.float64) - wide) ** 2))

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio in decibels: 10 log10(sum r^2 / sum (x - r)^2)."""
        return sqnr_db(self._signal, self._difference)


class Tally:
    """Counts one network's right answers, fed piece by piece.

    Every output is [samples, ...]; the classes' scores are the first output, when it is a vector
    of at least two for each sample.
    """

    def __init__(self) -> None:
        self._samples = 0
        self._top1 = 0
        self._top5 = 0
        self._agreeing = 0
        self._lost = 0
        self._gained = 0
        self._classes = 0
        self._noise = Noise()

    def add(
        self,
        outputs: Sequence[Floats],
        expected: Sequence[Floats] | None,
        labels: NDArray[np.int64] | None,
    ) -> None:
        """Take in the answers to some samples.

        Args:
            outputs: what the network answered.
            expected: what the reference answered; None if there is none.
            labels: the classes of the samples; None if nobody knows.

        Raises:
            InputError: the reference's outputs are of another size.
        """
        self._samples += len(outputs[0])
        scores = class_scores(outputs)
        if scores is not None:
            self._classes = scores.shape[1]
        right = None if scores is None or labels is None else self._score(scores, labels)
        if expected is not None:
            self._compare(outputs, expected, labels, right)

    def _score(self, scores: Floats, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = scores.argmax(axis=1) == labels
        self._top1 += int(right.sum())
        # A class is among the best when fewer than TOP others have a higher score.
        own = scores[np.arange(len(labels)), labels]
        self._top5 += int(((scores > own[:, None]).sum(axis=1) < TOP).sum())
        return right

    def _compare(
        self,
        outputs: Sequence[Floats],
        expected: Sequence[Floats],
        labels: NDArray[np.int64] | None,
        right: NDArray[np.bool_] | None,
    ) -> None:
        if [output.size for output in outputs] != [output.size for output in expected]:
            raise InputError(
                f"its outputs are {_shapes(outputs)} and the reference's {_shapes(expected)}; "
                "compare files of one network"
            )
        for output, wanted in zip(outputs, expected, strict=True):
            self._noise.add(wanted, output.reshape(wanted.shape))
        scores, wanted_scores = class_scores(outputs), class_scores(expected)
        if scores is None or wanted_scores is None:
            return
        best = wanted_scores.argmax(axis=1)
        self._agreeing += int((scores.argmax(axis=1) == best).sum())
        if right is not None:
            self._lost += int((~right & (best == labels)).sum())
            self._gained += int((right & (best != labels)).sum())

    @property
    def top1(self) -> Proportion | None:
        """Share of samples whose class has the highest score, None without class scores."""
        return Proportion.of(self._top1, self._samples) if self._classes else None

    @property
    def top5(self) -> Proportion | None:
        """Share of samples whose class is among the five highest, None below five classes."""
        return Proportion.of(self._top5, self._samples) if self._classes >= TOP else None

    @property
    def agreement(self) -> Proportion | None:
        """Share of samples on whose best class the reference agrees."""
        return Proportion.of(self._agreeing, self._samples) if self._classes else None

    @property
    def lost(self) -> int:
        """Samples that only the reference has right."""
        return self._lost

    @property
    def gained(self) -> int:
        """Samples that the reference has wrong and this network right."""
        return self._gained

    @property
    def sqnr_db(self) -> float:
        """See :attr:`Noise.sqnr_db`, over all outputs together."""
        return self._noise.sqnr_db


def class_scores(outputs: Sequence[Floats]) -> Floats | None:
    """Return the first output as [samples, classes], None if it is no such thing."""
    scores = outputs[0].reshape(len(outputs[0]), -1)
    vector = max(outputs[0].shape[1:], default=1) == scores.shape[1]
    return scores if vector and scores.shape[1] > 1 else None


def _shapes(outputs: Sequence[Floats]) -> str:
    return " and ".join(str(list(output.shape)) for output in outputs)
