"""The paper's tables with our own figures in them, and the verdict on each guideline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from groundspeed.artifact import Artifact
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
    cells = {
        (cell.cell.network.spec, cell.cell.runtime, cell.cell.precision, cell.cell.threads): cell
        for cell in result.cells
    }
    ways = dict.fromkeys(key[1:] for key in cells)
    grouped = groupby(asked.subjects, lambda one: (one.experiment.guideline, one.width))
    groups = [list(group) for _, group in grouped]
    compared = [
        _Compared([(subject, cells[subject.spec, *way]) for subject in group])
        for group in groups
        for way in ways
    ]
    comparisons = sum(one.intervals for one in compared)
    return tuple(one.table(comparisons) for one in compared)


class _Compared:
    """Networks of one table, and the rounds that all of them were in.

    Args:
        measured: each network with how it was measured.
    """

    def __init__(self, measured: Sequence[tuple[Subject, CellResult]]) -> None:
        self._measured = {subject.variant.name: (subject, cell) for subject, cell in measured}
        self._subject, self._cell = measured[0]
        self._recommended = self._subject.experiment.recommended.name
        medians = {subject.variant.name: cell.medians_ns for subject, cell in measured}
        medians = {name: found for name, found in medians.items() if found}
        if self._recommended not in medians or len(medians) < 2:
            medians = {}  # there is nothing to compare, or nothing to compare it with
        self._rounds = sorted(set.intersection(*map(set, medians.values()))) if medians else []
        # Variant -> logarithm of its time in each round, and the same for a MAC.
        self._times: dict[str, Floats] = {
            name: np.log([found[round] for round in self._rounds])
            for name, found in medians.items()
            if self._rounds
        }
        self._times_per_mac: dict[str, Floats] = {
            name: times - np.log(self._macs(name)) for name, times in self._times.items()
        }

    @property
    def intervals(self) -> int:
        """How many are shown: the trend's, and each variant's but the recommended one's."""
        return len(self._times)

    def table(self, comparisons: int) -> Table:
        """Return it all, with intervals of which so many are shown together."""
        subject, cell = self._subject, self._cell.cell
        trend = None
        if self._times:
            logarithms = np.stack(list(self._times_per_mac.values()), axis=1)
            steps = [self._measured[name][0].variant.step for name in self._times]
            trend = ratio(trends(logarithms, steps), comparisons)
        return Table(
            experiment=subject.experiment,
            column=subject.column,
            width=subject.width,
            runtime=cell.runtime,
            precision=cell.precision,
            threads=cell.threads,
            rows=tuple(self._row(name, comparisons) for name in self._measured),
            rounds=len(self._rounds),
            trend=trend,
            verdict=judge(trend, len(self._rounds)) if trend else Verdict.INCONCLUSIVE,
            paper_trends={column: _paper_trend(subject, column) for column in Column},
        )

    def _row(self, name: str, comparisons: int) -> Row:
        subject, cell = self._measured[name]
        per_mac = self._speed(self._times_per_mac, name, comparisons)
        return Row(
            variant=subject.variant,
            cell=cell,
            macs=_macs(cell.artifact) if cell.artifact else None,
            speed=self._speed(self._times, name, comparisons),
            speed_per_mac=per_mac,
            paper={
                column: subject.experiment.speed(subject.variant, column, subject.width)
                for column in Column
            },
            is_exception=per_mac is not None and is_exception(per_mac, len(self._rounds)),
        )

    def _macs(self, name: str) -> int:
        artifact = self._measured[name][1].artifact
        assert artifact is not None  # it was launched
        return _macs(artifact)

    def _speed(self, times: dict[str, Floats], name: str, comparisons: int) -> Estimate | None:
        if name not in times:
            return None
        if name == self._recommended:
            return Estimate(value=1.0, low=None, high=None)
        return ratio(times[self._recommended] - times[name], comparisons)


def _macs(artifact: Artifact) -> int:
    return sum(op.macs for op in artifact.manifest.ops)


def _paper_trend(subject: Subject, column: Column) -> float:
    """Return how many times as long a step takes in the paper, MACs being equal."""
    experiment = subject.experiment
    speeds = [
        experiment.speed_per_mac(variant, column, subject.width) for variant in experiment.variants
    ]
    steps = [variant.step for variant in experiment.variants]
    (slope,) = trends(-np.log([speeds]), steps)
    return float(np.exp(slope))
