"""What a run says about itself while it goes on; libraries tell, only the command line prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundspeed.deploy.plan import Cell, Plan, Stop
from groundspeed.deploy.store.rows import StoredEvaluation, StoredLaunch


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run begins, or goes on with ``done`` launches from before."""

    run_id: int
    plan: Plan
    done: int


@dataclass(frozen=True, kw_only=True)
class Exporting:
    """The file of a cell is about to be made; other cells may share it."""

    cell: Cell


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The file of a cell exists, or ``error`` says why it cannot."""

    cell: Cell
    artifact_id: str | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class RoundStarted:
    """A round begins.

    Attributes:
        round: which, from 0.
        cells: how many launches it makes.
        widest: the largest relative half-width of an interval so far, None while one is missing.
        action: "measure" or "profile".
    """

    round: int
    cells: int
    widest: float | None
    action: str = "measure"


@dataclass(frozen=True, kw_only=True)
class Launching:
    """A process is about to start."""

    cell: Cell
    action: str
    round: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the agent said about the launch that is going on."""

    cell: Cell
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A launch is over and stored, with its result or its error."""

    cell: Cell
    stored: StoredLaunch


@dataclass(frozen=True, kw_only=True)
class Evaluating:
    """The file of a cell answers test data.

    Attributes:
        cell: one of the cells that share the file.
        done: samples answered so far.
        total: all samples.
    """

    cell: Cell
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """How right the file of a cell is, now or from an earlier run, is stored."""

    cell: Cell
    stored: StoredEvaluation


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """Nothing more is going to be launched, and why."""

    run_id: int
    stopped: Stop


Event = (
    RunStarted
    | Exporting
    | Exported
    | RoundStarted
    | Launching
    | Progress
    | Launched
    | Evaluating
    | Evaluated
    | RunFinished
)
OnEvent = Callable[[Event], None]
