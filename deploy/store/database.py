"""The SQLite file of a store: opened, migrated to the newest schema, its errors put into words."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from groundspeed.deploy.store import schema
from groundspeed.errors import StoreError

FILE = "results.sqlite"
BUSY_TIMEOUT_S = 60  # other runs hold the write lock for milliseconds


def connect(folder: Path) -> sa.Engine:
    """Return the open database in ``folder``, made or migrated where needed.

    Raises:
        StoreError: it cannot be written, is no database of ours, or a newer Groundspeed made it.
    """
    path = folder / FILE
    with sentences(path):
        folder.mkdir(parents=True, exist_ok=True)
        engine = _engine(path)
        try:
            # SQLite's own locks do not cover the change into WAL mode.
            with exclusive(folder), engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                connection.rollback()
            _migrate(engine, path)
        except BaseException:
            engine.dispose()
            raise
    return engine


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """Turn what a database or a disk complains about into a :class:`StoreError`."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise StoreError(_sentence(path, str(error.orig))) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(_sentence(path, "disk is full")) from error
        raise StoreError(
            f"the store {path.parent} cannot be written ({error}); "
            "check its permissions, or name another folder with --store"
        ) from error


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the store alone; the system gives the lock back when a process dies."""
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        # Python's sqlite3 begins transactions late and by guessing; SQLAlchemy shall say when.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def _began(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("writes"):
            # A transaction that reads first and writes later could fail for being too late.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _migrate(engine: sa.Engine, path: Path) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        found = _revision(connection)
        if found == schema.REVISION:
            return
        # Alembic takes longer to import than most commands to run.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "groundspeed.deploy.store:migrations")
        config.set_main_option("path_separator", "os")
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"the store {path} has schema {found}, which a newer Groundspeed made; this one "
                f"knows up to {schema.REVISION}: upgrade it, or name another folder with --store"
            ) from error


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(
        sa.text("SELECT version_num FROM alembic_version")
    ).scalar()
    return found


def _sentence(path: Path, complaint: str) -> str:
    """Return what happened to the file and what to do, from SQLite's few words."""
    if "full" in complaint or "disk I/O" in complaint:
        return (
            f"the disk of the store {path} is full or failing ({complaint}); everything stored "
            "before is kept: free some space, then run the same command again to go on"
        )
    if "not a database" in complaint or "malformed" in complaint:
        return (
            f"{path} is damaged or no store of Groundspeed ({complaint}); move it away, "
            "or name another folder with --store"
        )
    if "locked" in complaint or "busy" in complaint:
        return f"the store {path} is held by another process ({complaint}); try again later"
    return f"the store {path} failed: {complaint}; name another folder with --store"
