"""Who works with which device: one holder at a time, for a limited time.

A holder that dies keeps others waiting only until its lease expires. One that was merely slow, and
comes back after that, is told apart by its lease's number, which grows with each lease (a fencing
token: M. Kleppmann, "Designing Data-Intensive Applications", chapter 8): devices refuse jobs of an
earlier number than they have seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import sqlalchemy as sa

from groundspeed.deploy.store import schema

DURATION_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to use a device until it expires.

    Attributes:
        device: its address.
        holder: who has it.
        number: the fencing token.
    """

    device: str
    holder: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Somebody else has the device.

    Attributes:
        holder: who.
        seconds: how long at least, unless it is given back before.
    """

    holder: str
    seconds: float


class Leases:
    """The leases of a store.

    Args:
        writing: opens a transaction that sees no other in between.
        clock: the time, in seconds since 1970.
    """

    def __init__(
        self,
        writing: Callable[[], AbstractContextManager[sa.Connection]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writing = writing
        self._clock = clock

    def take(self, device: str, holder: str, seconds: float = DURATION_S) -> Lease | Taken:
        """Take a device, or return who has it.

        Args:
            device: its address.
            holder: who wants it; another word for each process.
            seconds: how long, unless it is renewed.
        """
        table, now = schema.lease, self._clock()
        with self._writing() as connection:
            found = connection.execute(table.select().where(table.c.device == device)).first()
            if found is not None and found.holder and found.expires_at > now:
                return Taken(holder=found.holder, seconds=found.expires_at - now)
            number = 1 if found is None else found.number + 1
            values = {"number": number, "holder": holder, "expires_at": now + seconds}
            if found is None:
                connection.execute(table.insert().values(device=device, **values))
            else:
                connection.execute(table.update().where(table.c.device == device).values(**values))
        return Lease(device=device, holder=holder, number=number)

    def renew(self, lease: Lease, seconds: float = DURATION_S) -> bool:
        """Keep a device longer; False when the lease is over and somebody else has had it."""
        return self._set(lease, holder=lease.holder, expires_at=self._clock() + seconds)

    def give_back(self, lease: Lease) -> None:
        """Let others have the device; a lease that is over is left as it is."""
        self._set(lease, holder="", expires_at=0.0)

    def _set(self, lease: Lease, **values: object) -> bool:
        table = schema.lease
        with self._writing() as connection:
            changed = connection.execute(
                table.update()
                .where(
                    table.c.device == lease.device,
                    table.c.number == lease.number,
                    table.c.holder == lease.holder,
                )
                .values(**values)
            )
        return changed.rowcount == 1
