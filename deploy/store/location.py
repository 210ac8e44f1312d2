"""Where a store lies: in a folder of this machine, or on a PostgreSQL server with a folder here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from groundspeed.errors import UsageError

FOLDER = Path("groundspeed-results")

_SCHEMES = ("postgresql://", "postgres://")
_PASSWORD = re.compile(r"(\w://[^\s:/@]*):[^\s@]*@|(password=)[^\s&'\"]+")


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where results are kept.

    Attributes:
        folder: where files of this machine go: pages, exported files, copies of artifacts, and the
            database itself where there is no server.
        server: address of a PostgreSQL database as libpq writes it, which may hold a password; ""
            without one.
    """

    folder: Path
    server: str = ""

    @staticmethod
    def parse(text: str) -> Location:
        """Return the location that a user names: a folder, or ``postgresql://…``.

        Raises:
            UsageError: it is the address of something else, or names no database.
        """
        if not re.match(r"[A-Za-z][\w+.-]*://", text):
            return Location(folder=Path(text))
        if not text.startswith(_SCHEMES):
            raise UsageError(
                f"'{masked(text)}' is no store; name a folder, or postgresql://USER@HOST/DATABASE"
            )
        import sqlalchemy as sa

        try:
            url = sa.make_url(text)
        except (ValueError, sa.exc.ArgumentError) as error:
            raise UsageError(
                f"'{masked(text)}' is no address of a database; write "
                "postgresql://USER@HOST:PORT/DATABASE"
            ) from error
        if not url.database:
            raise UsageError(
                f"'{masked(text)}' names no database; write postgresql://USER@HOST/DATABASE"
            )
        at = url.host or url.query.get("host") or "local"
        port = f"-{url.port}" if url.port else ""
        name = re.sub(r"[^\w.@-]", "-", f"{url.database}@{at}{port}")
        return Location(folder=FOLDER / name, server=text)

    def __str__(self) -> str:
        """Return what a message may show: no password."""
        return masked(self.server) if self.server else str(self.folder)


def masked(text: str) -> str:
    """Return text with the passwords of database addresses replaced by three stars."""
    return _PASSWORD.sub(lambda found: f"{found[2]}***" if found[2] else f"{found[1]}:***@", text)
