"""The database of a store: what its kinds have in common, and how one is opened and migrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import sqlalchemy as sa

from groundspeed.deploy.store import schema
from groundspeed.deploy.store.location import Location
from groundspeed.errors import StoreError


class Database(Protocol):
    """One kind of database.

    Attributes:
        engine: makes connections. A transaction with the execution option ``writes`` sees no other
            writing one in between.
        shared: whether several machines use it, so that it holds the artifacts' files too.
    """

    engine: sa.Engine
    shared: bool

    def sentences(self) -> AbstractContextManager[None]:
        """Turn what the database complains about into a :class:`StoreError`."""
        ...

    def claim(self, run_id: int) -> AbstractContextManager[bool]:
        """Hold a run; yield False if another process does. A process that dies holds nothing."""
        ...

    def clock(self) -> float:
        """Return the time by which leases expire, in seconds since 1970."""
        ...

    def identity(self) -> str:
        """Return what tells this database from every other one, from wherever it is seen."""
        ...


def connect(location: Location) -> Database:
    """Return the open database of a store, made or migrated where needed.

    Raises:
        StoreError: it cannot be written, is no database of ours, or a newer Groundspeed made it.
        MissingExtra: its client is not installed.
    """
    database: Database
    if location.server:
        from groundspeed.deploy.store.postgresql import PostgreSQL

        database = PostgreSQL(location)
    else:
        from groundspeed.deploy.store.sqlite import SQLite

        database = SQLite(location.folder)
    try:
        with database.sentences():
            _migrate(database.engine, location)
    except BaseException:
        database.engine.dispose()
        raise
    return database


@contextmanager
def writing(database: Database) -> Iterator[sa.Connection]:
    """Open a transaction that sees no other writing one in between."""
    engine = database.engine.execution_options(writes=True)
    with database.sentences(), engine.begin() as connection:
        yield connection


def _migrate(engine: sa.Engine, location: Location) -> None:
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
                f"the store {location} has schema {found}, which a newer Groundspeed made; this "
                f"one knows up to {schema.REVISION}: upgrade it, or name another --store"
            ) from error


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(
        sa.text("SELECT version_num FROM alembic_version")
    ).scalar()
    return found
