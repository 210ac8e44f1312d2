"""Keeps every result and every measured file.

A database holds the rows, ``artifacts/<id>/`` the files by the digest of their content, so that a
later run can measure the old file itself again and not only remember its number. Every row is
committed as soon as it exists: what was measured survives whatever comes after.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from groundspeed.artifact import Artifact
from groundspeed.deploy.plan import Plan, Stop
from groundspeed.deploy.store import database, rows, schema
from groundspeed.deploy.store.disk import disk
from groundspeed.deploy.store.leases import Leases
from groundspeed.deploy.store.location import Location
from groundspeed.deploy.store.rows import (
    StoredCell,
    StoredEvaluation,
    StoredLaunch,
    StoredRun,
    now,
)
from groundspeed.deploy.store.shelf import Shelf
from groundspeed.documents import dump
from groundspeed.errors import StoreError, UsageError
from groundspeed.measurement import Machine


class Store:
    """An open store; close it, or use it as a context manager.

    Args:
        where: a folder, which is made when there is none, or a location.

    Attributes:
        location: where it is.
        folder: where files of this machine go.

    Raises:
        StoreError: it cannot be written, is none of ours, or a newer Groundspeed made it.
        MissingExtra: the client of its database is not installed.
    """

    def __init__(self, where: Path | Location) -> None:
        self.location = where if isinstance(where, Location) else Location(folder=where)
        self.folder = self.location.folder
        self._database = database.connect(self.location)
        self.leases = Leases(self._writing, self._database.clock)
        self._shelf = Shelf(self.folder, self._database)
        with disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        """Return where it is, as a message may say it."""
        return str(self.location)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.engine.dispose()

    @property
    def identity(self) -> str:
        """What tells this store from every other one, from whatever machine it is seen."""
        return self._database.identity()

    # ---- runs ---------------------------------------------------------------------------------

    def add_run(self, plan: Plan, command: str = "", revision: str | None = None) -> StoredRun:
        """Store a run that begins now, with all cells of its plan.

        Args:
            plan: what it does.
            command: what makes it again.
            revision: commit of the user's repository.
        """
        table = schema.run
        with self._writing() as connection:
            run_id = _key(
                connection.execute(
                    table.insert().values(
                        plan_digest=plan.digest,
                        plan=dump(plan),
                        command=command,
                        started_at=now(),
                        revision=revision,
                    )
                )
            )
            if plan.cells:
                connection.execute(
                    schema.cell.insert(),
                    [
                        {
                            "run_id": run_id,
                            "ordinal": ordinal,
                            "network": cell.network.name,
                            "runtime": cell.runtime,
                            "precision": cell.precision,
                            "threads": cell.threads,
                        }
                        for ordinal, cell in enumerate(plan.cells)
                    ],
                )
        return self.run(run_id)

    def finish_run(self, run_id: int, stopped: Stop) -> None:
        """Say that a run is complete, and why it made no more launches."""
        with self._writing() as connection:
            connection.execute(
                schema.run.update()
                .where(schema.run.c.id == run_id)
                .values(finished_at=now(), stopped=stopped.value)
            )

    def run(self, run_id: int | None = None) -> StoredRun:
        """Return a run, by default the newest.

        Raises:
            UsageError: the store has no such run.
        """
        query = schema.run.select().order_by(schema.run.c.id.desc()).limit(1)
        found = self._read(query if run_id is None else query.where(schema.run.c.id == run_id))
        if not found:
            which = "no run yet" if run_id is None else f"no run {run_id}"
            raise UsageError(
                f"the store {self} has {which}; 'groundspeed history' lists what it has"
            )
        return rows.to_run(found[0])

    def runs(self) -> list[StoredRun]:
        """Return all runs, the oldest first."""
        return [rows.to_run(row) for row in self._read(schema.run.select().order_by("id"))]

    def runs_at(self, revision: str) -> list[StoredRun]:
        """Return the runs at a commit of the user's repository, the newest first."""
        table = schema.run
        query = table.select().where(table.c.revision == revision).order_by(table.c.id.desc())
        return [rows.to_run(row) for row in self._read(query)]

    def unfinished(self, plan: Plan) -> list[StoredRun]:
        """Return the runs of this plan that are not complete, the newest first."""
        table = schema.run
        query = (
            table.select()
            .where(table.c.plan_digest == plan.digest, table.c.finished_at.is_(None))
            .order_by(table.c.id.desc())
        )
        return [rows.to_run(row) for row in self._read(query)]

    def claim(self, run_id: int) -> AbstractContextManager[bool]:
        """Hold a run, so that no two processes work at it; yield False if another one does.

        The lock is given back when a process dies, however it dies.
        """
        return self._database.claim(run_id)

    # ---- cells and launches -------------------------------------------------------------------

    def cells(self, run: StoredRun) -> list[StoredCell]:
        """Return the cells of a run in the order of its plan."""
        table = schema.cell
        query = table.select().where(table.c.run_id == run.id).order_by(table.c.ordinal)
        return [
            StoredCell(
                id=row.id,
                ordinal=row.ordinal,
                cell=run.plan.cells[row.ordinal],
                artifact_id=row.artifact_id,
                export_error=row.export_error,
                evaluation_id=row.evaluation_id,
            )
            for row in self._read(query)
        ]

    def set_artifact(self, cell_ids: list[int], artifact_id: str) -> None:
        """Say what file some cells measure; it is kept already."""
        self._set_cells(cell_ids, artifact_id=artifact_id)

    def set_export_error(self, cell_ids: list[int], reason: str) -> None:
        """Say why some cells have no file."""
        self._set_cells(cell_ids, export_error=reason)

    def set_evaluation(self, cell_ids: list[int], evaluation_id: int) -> None:
        """Say how right the file of some cells is; that is stored already."""
        self._set_cells(cell_ids, evaluation_id=evaluation_id)

    def add_launch(self, cell: StoredCell, artifact: Artifact, launch: StoredLaunch) -> None:
        """Store one launch of a cell, be it a result or a failure.

        Raises:
            StoreError: the disk is full, or the launch is stored already.
        """
        values = rows.launch_values(launch, artifact.manifest)
        with self._writing() as connection:
            if launch.launch is not None:
                values["machine_id"] = _add_machine(connection, launch.launch.machine)
            connection.execute(schema.launch.insert().values(cell_id=cell.id, **values))

    def launches(self, cell: StoredCell) -> list[StoredLaunch]:
        """Return the launches of a cell in the order they were made.

        Raises:
            StoreError: a row cannot be read back.
        """
        table = schema.launch
        query = table.select().where(table.c.cell_id == cell.id).order_by(table.c.id)
        try:
            return [rows.to_launch(row) for row in self._read(query)]
        except ValueError as error:
            raise StoreError(
                f"a launch of {cell.cell} in {self} is damaged: {error}; "
                "measure it again with --fresh"
            ) from error

    def medians(self, network: str | None = None) -> list[sa.Row[Any]]:
        """Return one row per latency launch that gave a result, by run, cell and round.

        No sample is read: the columns are ``run_id``, ``started_at`` (of the run), ``finished_at``,
        ``revision``, ``ordinal``, ``network``, ``runtime``, ``precision``, ``threads``,
        ``artifact_id``, ``comparability_digest``, ``comparability`` (JSON), ``machine`` (JSON) and
        ``median_ns``.
        """
        run, cell, launch, machine = schema.run.c, schema.cell.c, schema.launch.c, schema.machine.c
        query = (
            sa.select(
                cell.run_id,
                run.started_at,
                run.finished_at,
                run.revision,
                cell.ordinal,
                cell.network,
                cell.runtime,
                cell.precision,
                cell.threads,
                cell.artifact_id,
                launch.comparability_digest,
                launch.comparability,
                machine.document.label("machine"),
                launch.median_ns,
            )
            .select_from(schema.launch.join(schema.cell).join(schema.run).join(schema.machine))
            .where(launch.action == "measure", launch.median_ns.is_not(None))
            .order_by(cell.run_id, cell.ordinal, launch.round)
        )
        return self._read(query if network is None else query.where(cell.network == network))

    # ---- accuracy -----------------------------------------------------------------------------

    def add_evaluation(
        self, artifact_id: str, test_digest: str, evaluation: StoredEvaluation
    ) -> int:
        """Store how right a kept artifact is, be it a result or a failure; return its number.

        Args:
            artifact_id: the artifact.
            test_digest: digest of everything that decides the result but the artifact.
            evaluation: the result.
        """
        found = evaluation.evaluation
        with self._writing() as connection:
            return _key(
                connection.execute(
                    schema.evaluation.insert().values(
                        artifact_id=artifact_id,
                        test_digest=test_digest,
                        evaluated_at=evaluation.evaluated_at,
                        error=evaluation.error,
                        document=None if found is None else dump(found),
                    )
                )
            )

    def known_evaluation(self, artifact_id: str, test_digest: str) -> int | None:
        """Return the number of a result that is stored already; failures are none."""
        table = schema.evaluation.c
        query = sa.select(table.id).where(
            table.artifact_id == artifact_id,
            table.test_digest == test_digest,
            table.error.is_(None),
        )
        found = self._read(query.limit(1))
        return int(found[0].id) if found else None

    def newest_evaluation(self, artifact_id: str) -> StoredEvaluation | None:
        """Return the newest result of how right an artifact is, on whatever data."""
        table = schema.evaluation.c
        query = sa.select(table.id).where(table.artifact_id == artifact_id, table.error.is_(None))
        found = self._read(query.order_by(table.id.desc()).limit(1))
        return self.evaluation(found[0].id) if found else None

    def evaluation(self, evaluation_id: int) -> StoredEvaluation:
        """Return a stored evaluation.

        Raises:
            StoreError: it cannot be read back.
        """
        table = schema.evaluation
        (row,) = self._read(table.select().where(table.c.id == evaluation_id))
        try:
            return rows.to_evaluation(row)
        except ValueError as error:
            raise StoreError(
                f"evaluation {evaluation_id} in {self} is damaged: {error}; "
                "name another folder with --store"
            ) from error

    # ---- instructions -------------------------------------------------------------------------

    def add_count(self, artifact_id: str, setting: str, instructions: int) -> None:
        """Store how many instructions a process with a kept artifact executed.

        Args:
            artifact_id: the artifact.
            setting: all that decides the number but the artifact, as JSON.
            instructions: the number.
        """
        with self._writing() as connection:
            connection.execute(
                schema.count.insert().values(
                    artifact_id=artifact_id,
                    setting=setting,
                    instructions=instructions,
                    counted_at=now(),
                )
            )

    def counts(self, artifact_id: str, setting: str) -> list[int]:
        """Return what was counted of an artifact in a setting, the oldest first."""
        table = schema.count.c
        query = sa.select(table.instructions).where(
            table.artifact_id == artifact_id, table.setting == setting
        )
        return [row.instructions for row in self._read(query.order_by(table.id))]

    # ---- artifacts ----------------------------------------------------------------------------

    def keep(self, artifact: Artifact) -> Artifact:
        """Copy an artifact's files into the store and return the copy.

        What is there already is kept, with the newer manifest; a damaged copy is replaced.
        """
        return self._shelf.keep(artifact)

    def artifact(self, artifact_id: str) -> Artifact:
        """Return a kept artifact, its files compared with their digests.

        Raises:
            ArtifactError: it is not in the store, or damaged.
        """
        return self._shelf.artifact(artifact_id)

    # ---- the database -------------------------------------------------------------------------

    def _set_cells(self, cell_ids: list[int], **values: str | int) -> None:
        with self._writing() as connection:
            connection.execute(
                schema.cell.update().where(schema.cell.c.id.in_(cell_ids)).values(**values)
            )

    def _writing(self) -> AbstractContextManager[sa.Connection]:
        return database.writing(self._database)

    def _read(self, query: sa.Select[Any]) -> list[sa.Row[Any]]:
        with self._database.sentences(), self._database.engine.connect() as connection:
            return list(connection.execute(query).all())


def _key(result: sa.CursorResult[Any]) -> int:
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def machine_id(machine: Machine) -> str:
    """Return the sha256 of what a machine says about itself."""
    return hashlib.sha256(dump(machine).encode()).hexdigest()


def _add_machine(connection: sa.Connection, machine: Machine) -> str:
    table, identity = schema.machine, machine_id(machine)
    if connection.execute(table.select().where(table.c.id == identity)).first() is None:
        connection.execute(table.insert().values(id=identity, document=dump(machine)))
    return identity
