"""The paper's tables with our own figures in them, and the verdict on each guideline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from groundspeed.deploy.feedback.guidelines.asked import Asked, Subject
from groundspeed.deploy.feedback.guidelines.experiment import Column, Experiment, Variant
from groundspeed.deploy.feedback.guidelines.verdict import (
    NEGLIGIBLE,
    Estimate,
    Floats,
    Verdict,
    is_exception,
    judge,
    ratio,
    trends,
)
from groundspeed.deploy.results import CellResult, RunResult
from groundspeed.deploy.statistics import Latency


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant, here and in the paper.

    Speeds are those of the variant that keeps to the guideline as 1.

    Attributes:
        variant: which.
        cell: how it was measured.
        macs: multiply-accumulates of the network that was measured; None if there is none.
        speed, speed_per_mac: from the rounds in which all variants were launched; None if there
            are none.
        paper: column -> the paper's speed.
        is_exception: whether it is faster than what the guideline recommends, beyond doubt.
    """

    variant: Variant
    cell: CellResult
    macs: int | None
    speed: Estimate | None
    speed_per_mac: Estimate | None
    paper: dict[Column, float]
    is_exception: bool

    @property
    def latency(self) -> Latency | None:
        """Its time, None when there is none."""
        return self.cell.latency

    @property
    def failure(self) -> str | None:
        """Why it has no time."""
        reasons = (self.cell.export_error, *self.cell.failures, "it was not launched")
        return None if self.latency else next(filter(None, reasons))


@dataclass(frozen=True, kw_only=True)
class Table:
    """One experiment in one runtime, precision and number of threads.

    Attributes:
        experiment: which.
        column: the paper's device whose numbers of channels were measured.
        width: what these were multiplied by.
        runtime, precision, threads: how the networks ran.
        rows: the variants.
        rounds: in how many all of them were launched.
        trend: how many times as long a step takes, MACs being equal; None without rounds.
        verdict: on the guideline.
        paper_trends: column -> the same of the paper's figures.
    """

    experiment: Experiment
    column: Column
    width: int
    runtime: str
    precision: str
    threads: int
    rows: tuple[Row, ...]
    rounds: int
    trend: Estimate | None
    verdict: Verdict
    paper_trends: dict[Column, float]

    @property
    def contradicts(self) -> bool:
        """Whether the verdict is not that of the paper's figures for the same networks."""
        if self.verdict is Verdict.INCONCLUSIVE:
            return False
        holds_there = self.paper_trends[self.column] > 1 + NEGLIGIBLE
        return holds_there != (self.verdict is Verdict.HOLDS)

    @property
    def exceptions(self) -> tuple[Row, ...]:
        """Variants that are faster than what the guideline recommends."""
        return tuple(row for row in self.rows if row.is_exception)


def tables(result: RunResult, asked: Asked) -> tuple[Table, ...]:
    """Return a table for each experiment, width, runtime, precision and number of threads.

    Args:
        result: the run of what was asked for.
        asked: which experiments.
    """
    subjects = asked.subjects
    cells = {
        (cell.cell.network.spec, cell.cell.runtime, cell.cell.precision, cell.cell.threads): cell
        for cell in result.cells
    }
    ways = dict.fromkeys(key[1:] for key in cells)
    together = [
        _Together(group, [cells[subject.spec, *way] for subject in group])
        for _, group in _experiments(subjects)
        for way in ways
    ]
    comparisons = sum(one.comparisons for one in together)
    return tuple(one.table(comparisons) for one in together)


def _experiments(subjects: Sequence[Subject]) -> Iterator[tuple[object, list[Subject]]]:
    for key, group in groupby(subjects, lambda one: (one.experiment.guideline, one.width)):
        yield key, list(group)


class _Together:
    """Networks that are compared with each other, and the rounds that all of them were in."""

    def __init__(self, subjects: list[Subject], cells: list[CellResult]) -> None:
        self._subjects = subjects
        self._cells = cells
        self._experiment = subjects[0].experiment
        self._macs = [_macs(cell) for cell in cells]
        measured = [place for place, cell in enumerate(cells) if cell.medians_ns]
        reference = next(
            place
            for place, one in enumerate(subjects)
            if one.variant is self._experiment.recommended
        )
        # Without what the guideline recommends there is nothing to compare with.
        self._places = measured if reference in measured and len(measured) > 1 else []
        self._reference = reference
        self._logs, self._logs_per_mac = self._logarithms()

    @property
    def comparisons(self) -> int:
        """How many intervals are shown: the trend, and each variant's but the recommended one's."""
        return len(self._places)

    def table(self, comparisons: int) -> Table:
        """Return it all with intervals that are so many together."""
        first, cell = self._subjects[0], self._cells[0].cell
        rounds = len(self._logs_per_mac)
        trend = None
        if rounds:
            steps = [self._subjects[place].variant.step for place in self._places]
            trend = ratio(trends(self._logs_per_mac, steps), comparisons)
        return Table(
            experiment=first.experiment,
            column=first.column,
            width=first.width,
            runtime=cell.runtime,
            precision=cell.precision,
            threads=cell.threads,
            rows=tuple(self._row(place, comparisons) for place in range(len(self._subjects))),
            rounds=rounds,
            trend=trend,
            verdict=judge(trend, rounds) if trend else Verdict.INCONCLUSIVE,
            paper_trends={column: _paper_trend(first, column) for column in Column},
        )

    def _row(self, place: int, comparisons: int) -> Row:
        subject = self._subjects[place]
        speed = self._speed(self._logs, place, comparisons)
        per_mac = self._speed(self._logs_per_mac, place, comparisons)
        rounds = len(self._logs)
        return Row(
            variant=subject.variant,
            cell=self._cells[place],
            macs=self._macs[place],
            speed=speed,
            speed_per_mac=per_mac,
            paper={
                column: subject.experiment.speed(subject.variant, column, subject.width)
                for column in Column
            },
            is_exception=per_mac is not None and is_exception(per_mac, rounds),
        )

    def _speed(self, logarithms: Floats, place: int, comparisons: int) -> Estimate | None:
        if place not in self._places or not len(logarithms):
            return None
        if place == self._reference:
            return Estimate(value=1.0, low=None, high=None)
        own = logarithms[:, self._places.index(place)]
        reference = logarithms[:, self._places.index(self._reference)]
        return ratio(reference - own, comparisons)

    def _logarithms(self) -> tuple[Floats, Floats]:
        """Return [rounds, measured variants] of the times, and of the times per MAC."""
        medians = [self._cells[place].medians_ns for place in self._places]
        rounds = sorted(set.intersection(*map(set, medians))) if medians else []
        times = np.array([[of_cell[round] for of_cell in medians] for round in rounds], float)
        macs = [float(self._macs[place] or 0) for place in self._places]
        logarithms: Floats = np.log(times)
        return logarithms, logarithms - np.log(macs) if rounds else logarithms


def _macs(cell: CellResult) -> int | None:
    return sum(op.macs for op in cell.artifact.manifest.ops) if cell.artifact else None


def _paper_trend(subject: Subject, column: Column) -> float:
    """Return how many times as long a step takes in the paper, MACs being equal."""
    experiment = subject.experiment
    speeds = [
        experiment.speed_per_mac(variant, column, subject.width) for variant in experiment.variants
    ]
    steps = [variant.step for variant in experiment.variants]
    (slope,) = trends(-np.log([speeds]), steps)
    return float(np.exp(slope))
