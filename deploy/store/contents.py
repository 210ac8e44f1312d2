"""The bytes of files in a database that several machines share, by the digest of their content.

A file is stored in parts, so that no more than one of them is ever in memory, and a transfer that
was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from groundspeed.artifact import File
from groundspeed.deploy.store import schema

PART_BYTES = 4 << 20


def send(files: Iterable[tuple[File, Path]], engine: sa.Engine) -> None:
    """Store the content of files, each part in a transaction of its own; known parts are skipped.

    Args:
        files: what each file is, and where.
        engine: of the database.
    """
    table = schema.content
    for described, path in files:
        with engine.connect() as connection:
            known = sa.select(table.c.part).where(table.c.sha256 == described.sha256)
            there = set(connection.execute(known).scalars())
        with path.open("rb") as file:
            for part in count():
                data = file.read(PART_BYTES)
                if not data:
                    break
                if part not in there:
                    row = {"sha256": described.sha256, "part": part, "data": data}
                    with engine.begin() as connection:
                        connection.execute(insert(table).values(row).on_conflict_do_nothing())


def receive(file: File, folder: Path, engine: sa.Engine) -> None:
    """Write a stored file into a folder, under its name.

    Args:
        file: which.
        folder: where.
        engine: of the database.
    """
    table = schema.content
    with (folder / file.name).open("wb") as out, engine.connect() as connection:
        for part in count():
            query = sa.select(table.c.data).where(
                table.c.sha256 == file.sha256, table.c.part == part
            )
            data = connection.execute(query).scalar()
            if data is None:
                break
            out.write(data)
