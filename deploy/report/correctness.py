"""What a report says of accuracy: each file's answers to test data beside its latency and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.deploy.accuracy import Proportion
from groundspeed.deploy.evaluation import Evaluation, Scored
from groundspeed.deploy.report.content import Cell, Network
from groundspeed.deploy.report.integers import decibels
from groundspeed.deploy.report.text import percent

_NONE = "\N{EN DASH}"


@dataclass(frozen=True, kw_only=True)
class ScoredCell:
    """A cell whose file ran on test data.

    Attributes:
        cell: the cell.
        scored: what its file made of them; None when the evaluation failed.
        error: why it failed.
    """

    cell: Cell
    scored: Scored | None
    error: str | None

    @property
    def proportion(self) -> Proportion | None:
        """Top-1 where the data have labels, else agreement with the float network."""
        if self.scored is None:
            return None
        return self.scored.top1 or self.scored.agreement


def scored_cells(network: Network) -> tuple[ScoredCell, ...]:
    """Return the cells of a network that were evaluated, in the order of the network's cells."""
    return tuple(
        ScoredCell(cell=cell, scored=stored.scored, error=stored.error)
        for cell in network.cells
        if (stored := cell.measured.evaluation) is not None
    )


def evaluation(network: Network) -> Evaluation | None:
    """Return what tells about the data of all cells; None when no evaluation has a result."""
    found = (cell.measured.evaluation for cell in network.cells)
    return next((one.evaluation for one in found if one and one.evaluation), None)


def about(evaluation: Evaluation) -> str:
    """Return what the samples are, how many, what the files are compared with, and where."""
    words = [evaluation.data]  # it begins with their number
    if evaluation.reference is not None:
        words.append(f"compared with {evaluation.reference}")
    top1 = evaluation.rows[0].top1
    if evaluation.rows[0].name == evaluation.reference and top1 is not None:
        words.append(f"whose top-1 is {share(top1)}")
    words.append(f"computed on {evaluation.where}")
    return ", ".join(words)


def judged_by(cells: Sequence[ScoredCell]) -> str:
    """Return what :attr:`ScoredCell.proportion` is, for an axis."""
    labelled = any(one.scored and one.scored.top1 for one in cells)
    return "top-1" if labelled else "same best class as the float network"


def share(value: Proportion | None) -> str:
    """Return a proportion with its interval: "91.2 % [90.6, 91.7]"."""
    if value is None:
        return _NONE
    return f"{percent(value.value)} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def noise(scored: Scored | None) -> str:
    """Return the ratio of signal to noise of the outputs in decibels."""
    return _NONE if scored is None or scored.sqnr_db is None else decibels(scored.sqnr_db)
