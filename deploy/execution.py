"""Carry out what a run has not done yet: export, launch in rounds, profile, evaluate."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping, Sequence

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy import comparability, statistics
from groundspeed.deploy.events import (
    Event,
    Exported,
    Exporting,
    Launched,
    Launching,
    OnEvent,
    Progress,
    RoundStarted,
    RunFinished,
    RunStarted,
)
from groundspeed.deploy.plan import Cell, Stop, job
from groundspeed.deploy.scoring import Scorer, score
from groundspeed.deploy.store.rows import StoredCell, StoredLaunch, StoredRun, now
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import TakesTurns, Target
from groundspeed.errors import (
    CheckError,
    DeviceLost,
    DeviceRefused,
    ExportError,
    GroundspeedError,
    MissingExtra,
    UnknownName,
)
from groundspeed.measurement import Job, Launch

ExportOne = Callable[[Cell], Artifact]

# Whether the launches of each cell, so many whole rounds of them, answer what was asked.
Decided = Callable[[Sequence[Sequence[StoredLaunch]]], bool]

# Nothing about the network: the run goes on when that is put right.
NOT_THE_NETWORK = (MissingExtra, UnknownName, DeviceLost, DeviceRefused)

GIVE_UP_AFTER = 2  # failed launches: the first may be bad luck, the second is the file's nature


class Execution:
    """The rest of one run.

    Args:
        run: the run, claimed.
        store: where it stands.
        target: where to launch.
        export_one: see ``pipeline.run``.
        on_event: see ``pipeline.run``.
        scorers: see ``pipeline.run``.
        decided: see ``pipeline.execute``.
    """

    def __init__(
        self,
        run: StoredRun,
        store: Store,
        target: Target,
        export_one: ExportOne,
        on_event: OnEvent | None,
        scorers: Mapping[Source, Scorer],
        decided: Decided | None = None,
    ) -> None:
        self._run = run
        self._plan = run.plan
        self._store = store
        self._target = target
        self._export_one = export_one
        self._on_event = on_event
        self._scorers = scorers
        self._decided = decided
        self._launches = [store.launches(cell) for cell in store.cells(run)]

    def carry_out(self) -> None:
        """Export, measure, profile and evaluate what is not stored yet."""
        done = sum(len(launches) for launches in self._launches)
        self._tell(RunStarted(run_id=self._run.id, plan=self._plan, done=done))
        self._export()
        self._cells = self._store.cells(self._run)
        self._artifacts = {
            identity: self._store.artifact(identity)
            for identity in {cell.artifact_id for cell in self._cells}
            if identity is not None
        }
        stopped = self._measure()
        self._profile()
        # Last, so that no launch meets a machine that is hot from it.
        score(self._run, self._artifacts, self._scorers, self._store, self._target, self._tell)
        self._store.finish_run(self._run.id, stopped)
        self._tell(RunFinished(run_id=self._run.id, stopped=stopped))

    # ---- export -------------------------------------------------------------------------------

    def _export(self) -> None:
        """Make each file once and keep it in the store."""
        files: dict[tuple[str, ...], list[StoredCell]] = {}
        for stored in self._store.cells(self._run):
            if stored.artifact_id is None and stored.export_error is None:
                cell = stored.cell
                shared = (cell.network.spec, cell.network.digest, cell.runtime, cell.precision)
                files.setdefault((*shared, cell.artifact_id), []).append(stored)
        for sharing in files.values():
            self._export_for(sharing)

    def _export_for(self, sharing: list[StoredCell]) -> None:
        cell, cell_ids = sharing[0].cell, [stored.id for stored in sharing]
        self._tell(Exporting(cell=cell))
        artifact_id, reason = None, None
        try:
            artifact_id = self._store.keep(self._export_one(cell)).id
        except ExportError as error:
            reason = str(error)
            self._store.set_export_error(cell_ids, reason)
        else:
            self._store.set_artifact(cell_ids, artifact_id)
        self._tell(Exported(cell=cell, artifact_id=artifact_id, error=reason))

    # ---- measure ------------------------------------------------------------------------------

    def _measure(self) -> Stop:
        """Launch every cell once a round, until there is a reason to stop."""
        for round in itertools.count():
            going = self._going(round)
            stop = self._stop(round, going)
            if stop is not None:
                return stop
            widest = self._widest(round, going)
            self._tell(RoundStarted(round=round, cells=len(going), widest=widest))
            due = [
                (position, ordinal)
                for position, ordinal in enumerate(self._plan.order(round))
                if ordinal in going and not self._is_stored("measure", round, ordinal)
            ]
            if self._plan.settings.turn_s > 0 and isinstance(self._target, TakesTurns):
                self._launch_by_turns(self._target, round, due)
            else:
                for position, ordinal in due:
                    self._launch("measure", round, position, ordinal)
        raise AssertionError("unreachable")

    def _profile(self) -> None:
        """Launch every cell that works again, with per-op times."""
        settings = self._plan.settings
        if settings.profile_runs == 0:
            return
        going = self._going(settings.max_rounds)
        for round in range(settings.profile_rounds if going else 0):
            self._tell(RoundStarted(round=round, cells=len(going), widest=None, action="profile"))
            for position, ordinal in enumerate(self._plan.order(round)):
                if ordinal in going and not self._is_stored("profile", round, ordinal):
                    self._launch("profile", round, position, ordinal)

    # Decisions about a round rest on the rounds before it alone, and never on a part of the round
    # itself: so a resumed run decides as the uninterrupted one would have.

    def _before(self, round: int, ordinal: int) -> list[StoredLaunch]:
        launches = self._launches[ordinal]
        return [one for one in launches if one.action == "measure" and one.round < round]

    def _going(self, round: int) -> set[int]:
        """Return the cells that have a file and do not fail again and again."""
        return {
            cell.ordinal
            for cell in self._cells
            if cell.artifact_id is not None
            and sum(one.error is not None for one in self._before(round, cell.ordinal))
            < GIVE_UP_AFTER
        }

    def _stop(self, round: int, going: set[int]) -> Stop | None:
        settings = self._plan.settings
        if not going:
            return Stop.NOTHING
        widest = self._widest(round, going)
        enough = round >= settings.min_rounds and settings.half_width > 0
        if enough and widest is not None and widest <= settings.half_width:
            return Stop.PRECISE
        if self._decided is not None:
            ordinals = range(len(self._cells))
            if self._decided([self._before(round, ordinal) for ordinal in ordinals]):
                return Stop.DECIDED
        if round >= settings.max_rounds:
            return Stop.ROUNDS
        spent_s = sum(
            one.duration_s
            for ordinal in range(len(self._cells))
            for one in self._before(round, ordinal)
        )
        limit_s = settings.max_seconds if round >= settings.sure_rounds else None
        if limit_s is not None and spent_s >= limit_s:
            return Stop.SECONDS
        return None

    def _widest(self, round: int, going: set[int]) -> float | None:
        """Return the largest relative half-width, None while a cell has no interval."""
        widths = []
        for ordinal in going:
            launches = [one.launch for one in self._before(round, ordinal) if one.launch]
            latency = statistics.latency(launches) if launches else None
            width = latency.relative_half_width if latency else None
            if width is None:
                return None
            widths.append(width)
        return max(widths, default=None)

    # ---- launches -----------------------------------------------------------------------------

    def _is_stored(self, action: str, round: int, ordinal: int) -> bool:
        return any((one.action, one.round) == (action, round) for one in self._launches[ordinal])

    def _launch(self, action: str, round: int, position: int, ordinal: int) -> None:
        cell = self._cells[ordinal].cell
        self._tell(Launching(cell=cell, action=action, round=round))
        started_at, start = now(), time.monotonic()
        outcome: Launch | GroundspeedError
        try:
            outcome = self._target.run(
                self._job(action, ordinal),
                lambda sentence: self._tell(Progress(cell=cell, sentence=sentence)),
            )
        except GroundspeedError as error:
            outcome = error
        launched = StoredLaunch(
            action=action,
            round=round,
            position=position,
            started_at=started_at,
            duration_s=time.monotonic() - start,
        )
        self._keep(ordinal, launched, outcome)

    def _launch_by_turns(
        self, target: TakesTurns, round: int, due: Sequence[tuple[int, int]]
    ) -> None:
        """Launch cells together, given as position and ordinal."""
        for _, ordinal in due:
            self._tell(Launching(cell=self._cells[ordinal].cell, action="measure", round=round))
        started_at, start = now(), time.monotonic()
        jobs = [self._job("measure", ordinal) for _, ordinal in due]
        outcomes = target.run_by_turns(jobs, self._plan.settings.turn_s)
        took_s = time.monotonic() - start
        for (position, ordinal), outcome in zip(due, outcomes, strict=True):
            launched = StoredLaunch(
                action="measure",
                round=round,
                position=position,
                started_at=started_at,
                duration_s=took_s / len(due),
            )
            self._keep(ordinal, launched, outcome)

    def _job(self, action: str, ordinal: int) -> Job:
        stored = self._cells[ordinal]
        assert stored.artifact_id is not None
        artifact = self._artifacts[stored.artifact_id]
        return job(action, stored.cell, artifact, self._plan.settings)

    def _keep(
        self, ordinal: int, launched: StoredLaunch, outcome: Launch | GroundspeedError
    ) -> None:
        """Store a launch with its result, or with the error that it ended in."""
        if isinstance(outcome, NOT_THE_NETWORK):
            raise outcome
        stored = self._cells[ordinal]
        assert stored.artifact_id is not None
        artifact = self._artifacts[stored.artifact_id]
        if isinstance(outcome, GroundspeedError):
            one = dataclasses.replace(launched, error=str(outcome))
        else:
            key = comparability.key(outcome, artifact.manifest)
            one = dataclasses.replace(launched, launch=outcome, comparability=key)
        self._check_comparable(stored, one)
        self._store.add_launch(stored, artifact, one)
        self._launches[ordinal].append(one)
        self._tell(Launched(cell=stored.cell, stored=one))

    def _check_comparable(self, stored: StoredCell, new: StoredLaunch) -> None:
        """Refuse to mix launches that do not compare, as after an upgrade in between."""
        keys = [one.comparability for one in self._launches[stored.ordinal] if one.comparability]
        if not keys or new.comparability is None:
            return
        changed = comparability.differences(keys[0], new.comparability)
        if changed:
            raise CheckError(
                f"run {self._run.id} cannot go on: {changed} since {stored.cell} was launched "
                "first; begin anew with --fresh"
            )

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
