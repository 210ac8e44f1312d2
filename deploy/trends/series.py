"""Entries of a history that may stand in one line, and where the line changed its level.

A series has one network, runtime, precision and number of threads, on one device under one set of
conditions. Where a condition changes, a new series begins and says which one did.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.deploy.comparability import differences
from groundspeed.deploy.history import Entry
from groundspeed.deploy.trends.change_points import Trend, trend


@dataclass(frozen=True, kw_only=True)
class Series:
    """Entries that compare, the oldest first.

    Attributes:
        entries: at least one.
        trend: what their latencies did.
        began: what is different from the series before of the same network, runtime, precision and
            threads on the same machine; "" for the first.
    """

    entries: tuple[Entry, ...]
    trend: Trend
    began: str = ""


def series(entries: Sequence[Entry]) -> list[Series]:
    """Return the series of a history.

    Args:
        entries: of any kind, the oldest first.
    """
    found = []
    for _, group in itertools.groupby(sorted(entries, key=_line), key=_line):
        before: Entry | None = None
        kinds: dict[str, list[Entry]] = {}
        # A comparison has the old file of that day, too: its candidate, which comes last, counts.
        for entry in {entry.run_id: entry for entry in group}.values():
            kinds.setdefault(entry.comparability, []).append(entry)
        for alike in kinds.values():
            found.append(
                Series(
                    entries=tuple(alike),
                    trend=trend([entry.estimate_ns for entry in alike]),
                    began=differences(before.key, alike[0].key) if before else "",
                )
            )
            before = alike[-1]
    return found


def _line(entry: Entry) -> tuple[str, str, str, str, int]:
    machine = f"{entry.machine.name} {entry.machine.model}"
    return entry.network, machine, entry.runtime, entry.precision, entry.threads
