"""What the store gives back, and how a launch becomes a row and a row a launch."""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from groundspeed.artifact import Manifest
from groundspeed.deploy import comparability
from groundspeed.deploy.evaluation import Evaluation, Scored
from groundspeed.deploy.plan import Cell, Plan
from groundspeed.deploy.store import blobs
from groundspeed.documents import dump, from_plain, to_plain
from groundspeed.measurement import Launch, OpProfile


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run as it stands in the store.

    Attributes:
        id: number of the run in its store.
        plan: what it does.
        command: what makes it again.
        started_at: UTC time, ISO 8601.
        finished_at: the same; None while it is going on, or when it was interrupted.
        stopped: why no more launches were made (``plan.Stop``); None until then.
        revision: commit of the user's repository, as ``revision.current`` tells it; None outside
            of one, and of runs from before it was kept.
    """

    id: int
    plan: Plan
    command: str
    started_at: str
    finished_at: str | None
    stopped: str | None
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredCell:
    """A cell of a run.

    Attributes:
        id: number of the cell in its store.
        ordinal: its place in the plan.
        cell: what it is.
        artifact_id: what is measured; None until it is exported.
        export_error: why there is no artifact.
        evaluation_id: how right the artifact is; None until it was run on test data.
    """

    id: int
    ordinal: int
    cell: Cell
    artifact_id: str | None
    export_error: str | None
    evaluation_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class StoredEvaluation:
    """How right an artifact is on test data, or the reason why nobody knows.

    Attributes:
        evaluated_at: UTC time, ISO 8601.
        evaluation: the artifact in its last row, the float network before it if it could be run.
        error: why there is no accuracy.
    """

    evaluated_at: str
    evaluation: Evaluation | None = None
    error: str | None = None

    @property
    def scored(self) -> Scored | None:
        """What the artifact makes of the data; None when there is no accuracy."""
        return self.evaluation.rows[-1] if self.evaluation and self.error is None else None


@dataclass(frozen=True, kw_only=True)
class StoredLaunch:
    """One launch of a cell, with its result or the reason why there is none.

    Attributes:
        action: "measure" or "profile".
        round: the round of the run, from 0.
        position: its order within the round, from 0.
        started_at: UTC time, ISO 8601.
        duration_s: how long the whole process took; of processes that took turns, each one's share.
        launch: the result.
        error: why there is none.
        comparability: what must be equal in launches that are compared.
    """

    action: str
    round: int
    position: int
    started_at: str
    duration_s: float
    launch: Launch | None = None
    error: str | None = None
    comparability: comparability.Key | None = None


def now() -> str:
    """Return the UTC time as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def launch_values(stored: StoredLaunch, manifest: Manifest) -> dict[str, Any]:
    """Return the columns of a launch, those that point elsewhere left out."""
    values: dict[str, Any] = {
        "action": stored.action,
        "round": stored.round,
        "position": stored.position,
        "started_at": stored.started_at,
        "duration_s": stored.duration_s,
        "error": stored.error,
    }
    launch = stored.launch
    if launch is None:
        return values
    key = comparability.key(launch, manifest)
    profile = to_plain(launch.profile)
    return values | {
        "comparability": dump(key),
        "comparability_digest": comparability.digest(key),
        "median_ns": statistics.median(launch.samples_ns) if launch.samples_ns else None,
        "sample_count": len(launch.samples_ns),
        "steady": launch.steady,
        "samples": blobs.pack(launch.samples_ns),
        "profile": None if profile is None else blobs.pack_json(profile),
        "document": dump(dataclasses.replace(launch, samples_ns=(), profile=None)),
    }


def to_launch(row: sa.Row[Any]) -> StoredLaunch:
    """Return the launch that a row of the table ``launch`` holds.

    Raises:
        ValueError: the row's document is not that of a launch.
    """
    launch = None
    if row.document is not None:
        profile = None
        if row.profile is not None:
            profile = from_plain(OpProfile, blobs.unpack_json(row.profile))
        launch = dataclasses.replace(
            from_plain(Launch, json.loads(row.document)),
            samples_ns=tuple(blobs.unpack(row.samples)),
            profile=profile,
        )
    return StoredLaunch(
        action=row.action,
        round=row.round,
        position=row.position,
        started_at=row.started_at,
        duration_s=row.duration_s,
        launch=launch,
        error=row.error,
        comparability=None if row.comparability is None else json.loads(row.comparability),
    )


def to_evaluation(row: sa.Row[Any]) -> StoredEvaluation:
    """Return the evaluation that a row of the table ``evaluation`` holds.

    Raises:
        ValueError: the row's document is not that of an evaluation.
    """
    plain = None if row.document is None else json.loads(row.document)
    return StoredEvaluation(
        evaluated_at=row.evaluated_at,
        evaluation=None if plain is None else from_plain(Evaluation, plain),
        error=row.error,
    )


def to_run(row: sa.Row[Any]) -> StoredRun:
    """Return the run that a row of the table ``run`` holds."""
    return StoredRun(
        id=row.id,
        plan=from_plain(Plan, json.loads(row.plan)),
        command=row.command,
        started_at=row.started_at,
        finished_at=row.finished_at,
        stopped=row.stopped,
        revision=row.revision,
    )
