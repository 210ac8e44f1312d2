"""A store that several machines share: a PostgreSQL database, the artifacts' files in it.

Locks are advisory ones (PostgreSQL documentation, chapter "Explicit Locking"): one of a transaction
lets one writer in at a time, one of a session holds a run for as long as its process lives.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from groundspeed.deploy.store.location import Location
from groundspeed.errors import MissingExtra, StoreError

CONNECT_TIMEOUT_S = 10
PATIENCE_S = 60  # a server that was there and restarts is back within that

# Numbers of our advisory locks; any will do that others in the database do not use.
_WRITERS = 0x67726F756E64
_RUNS = 0x67727370

# A network that silently dropped us is noticed within a minute, and so is our death by the server.
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_ADVICE = {
    "28P01": "check the user and the password (in PGPASSWORD or ~/.pgpass)",
    "28000": "check the user, and whether the server lets it in from here (pg_hba.conf)",
    "3D000": "make it with 'createdb', or name another one",
    "42501": "let the user create and write tables there",
    "53100": "everything stored before is kept: free some space on the server, then run the same "
    "command again to go on",
    "53300": "try again later, or let the server take more connections",
}


class PostgreSQL:
    """A database on a server; see ``database.Database``.

    Args:
        location: its address.

    Raises:
        MissingExtra: psycopg is not installed.
    """

    shared = True

    def __init__(self, location: Location) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise MissingExtra(
                f"the store {location} needs psycopg: pip install 'groundspeed[postgresql]'"
            )
        self._location = location
        self._was_there = False
        self.engine = sa.create_engine(
            sa.make_url(location.server).set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "groundspeed",
                **_KEEPALIVE,
            },
        )

        @sa.event.listens_for(self.engine, "do_connect")
        def _connecting(dialect: Any, _record: Any, words: Any, options: Any) -> Any:
            return self._patiently(dialect, words, options)

        @sa.event.listens_for(self.engine, "begin")
        def _began(connection: sa.Connection) -> None:
            if connection.get_execution_options().get("writes"):
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))

    @contextmanager
    def sentences(self) -> Iterator[None]:
        """Turn what the server complains about into a :class:`StoreError`."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise StoreError(self._sentence(error)) from error

    @contextmanager
    def claim(self, run_id: int) -> Iterator[bool]:
        """Hold a run by the lock of a connection, which the server gives back."""
        lock = (_RUNS, run_id)
        with self.sentences():
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            with self.sentences():
                mine = connection.execute(sa.select(sa.func.pg_try_advisory_lock(*lock))).scalar()
            yield bool(mine)
            # A server that went away has let go of it already.
            with suppress(sa.exc.DBAPIError):
                if mine:
                    connection.execute(sa.select(sa.func.pg_advisory_unlock(*lock)))
        finally:
            connection.invalidate()
            connection.close()

    def clock(self) -> float:
        """Return the server's time: those of its users' machines may differ."""
        seconds = sa.func.extract("epoch", sa.func.clock_timestamp())
        with self.sentences(), self.engine.connect() as connection:
            return float(connection.execute(sa.select(seconds)).scalar_one())

    def identity(self) -> str:
        """Return the number that the server was given when it was made, and the database's."""
        query = sa.text(
            "SELECT md5(concat_ws('/', system_identifier, oid, current_schema())) "
            "FROM pg_control_system(), pg_database WHERE datname = current_database()"
        )
        with self.sentences(), self.engine.connect() as connection:
            return str(connection.execute(query).scalar_one())

    def _patiently(self, dialect: Any, words: Any, options: Any) -> Any:
        """Connect; to a server that was there before, also after it was away for a while."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                connection = dialect.connect(*words, **options)
            except dialect.loaded_dbapi.OperationalError:
                if not self._was_there or time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                self._was_there = True
                return connection

    def _sentence(self, error: sa.exc.DBAPIError) -> str:
        code = getattr(error.orig, "sqlstate", None)
        complaint = " ".join(str(error.orig).split())
        if code is None and isinstance(error, sa.exc.OperationalError):
            advice = _advice_of(complaint)
        else:
            advice = _ADVICE.get(code or "", "name another --store")
        return f"the store {self._location} failed: {complaint}; {advice}"


def _advice_of(complaint: str) -> str:
    """Return what to do about a connection that was not made: libpq gives no code for that."""
    for words, code in (
        ("password authentication failed", "28P01"),
        ("no password supplied", "28P01"),
        ("pg_hba", "28000"),
        ('role "', "28000"),
        ("does not exist", "3D000"),
        ("too many", "53300"),
    ):
        if words in complaint:
            return _ADVICE[code]
    return (
        "everything stored before is kept: check that the server runs and can be reached, then run "
        "the same command again"
    )
