"""A store in a folder: its database is the file ``results.sqlite``."""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from groundspeed.deploy.store.disk import disk, exclusive
from groundspeed.errors import StoreError

FILE = "results.sqlite"
BUSY_TIMEOUT_S = 60  # other runs hold the write lock for milliseconds


class SQLite:
    """The database file of a folder; see ``database.Database``.

    Args:
        folder: where it lies; it is made when there is none.

    Raises:
        StoreError: it cannot be written, or is no database.
    """

    shared = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE
        with self.sentences():
            folder.mkdir(parents=True, exist_ok=True)
            self.engine = _engine(self._path)
            # SQLite's own locks do not cover the change into WAL mode.
            with exclusive(folder), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                connection.rollback()

    @contextmanager
    def sentences(self) -> Iterator[None]:
        """Turn what SQLite or the disk complains about into a :class:`StoreError`."""
        try:
            with disk(self._folder):
                yield
        except sa.exc.DBAPIError as error:
            raise StoreError(_sentence(self._path, str(error.orig))) from error

    @contextmanager
    def claim(self, run_id: int) -> Iterator[bool]:
        """Hold a run by the lock of a file, which the system gives back."""
        folder = self._folder / "running"
        with self.sentences():
            folder.mkdir(exist_ok=True)
            file = (folder / str(run_id)).open("a")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def clock(self) -> float:
        """Return the time of this machine, the only one that uses the file."""
        return time.time()

    def identity(self) -> str:
        """Return the digest of where the folder is."""
        return hashlib.sha256(str(self._folder.resolve()).encode()).hexdigest()


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
