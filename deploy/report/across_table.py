"""One network across runtimes as a table for a terminal."""

from __future__ import annotations

from collections import Counter

from rich.table import Table
from rich.text import Text

from groundspeed.deploy.feedback.across import Across, Entry, Fate, Made, Row
from groundspeed.deploy.report.text import ms, percent, short

MOST_ROWS = 25


def across_table(across: Across, *, network: str, most: int = MOST_ROWS) -> Table:
    """Return the costliest rows in order of computation, and the others as one.

    Args:
        across: the network in each runtime.
        network: what the root module is called.
        most: rows to show; a row's cost is the largest share that it has in any runtime.
    """
    # Names are the user's own and may hold what rich would take for markup.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("module", overflow="fold")
    table.add_column("line", overflow="fold")
    for column in across.columns:
        table.add_column(Text(f"{column}, ms"), justify="right")
    table.add_column("made of it", overflow="fold")
    ranked = sorted(range(len(across.rows)), key=lambda index: -across.rows[index].share)
    shown = set(ranked[:most])
    for index in sorted(shown):
        row = across.rows[index]
        made = {name: notes(row, column) for column, name in enumerate(across.columns)}
        said = Text("; ".join(f"{name}: {note}" for name, note in made.items() if note), "dim")
        table.add_row(
            Text(row.module or network), Text(short(row.line)), *map(_time, row.entries), said
        )
    if rest := [row for index, row in enumerate(across.rows) if index not in shown]:
        table.add_row(f"{len(rest)} more", "", *_rest(rest, len(across.columns)), style="dim")
    return table


def notes(row: Row, column: int) -> str:
    """Return what a runtime made of the ops of a row, where it is not what the network says."""
    if not row.ops:
        return "not tied"
    said = Counter(_said(op.op.name, op.made[column]) for op in row.ops)
    del said[""]
    if inserted := row.entries[column].inserted:
        said[f"{inserted} inserted"] += 1
    return ", ".join(said)


def _said(name: str, made: Made) -> str:
    if made.fate is Fate.COMPUTED:
        return ""
    if made.fate is Fate.FUSED:
        return f"{name} fused into {made.into}"
    if made.fate is Fate.SPLIT:
        return f"{name} split in {len(made.words)}"
    return f"{name} {made.fate}"


def _time(entry: Entry) -> Text:
    return Text(f"{ms(entry.ns)} {percent(entry.share):>7}" if entry.executed else "")


def _rest(rows: list[Row], columns: int) -> list[Text]:
    cells = []
    for column in range(columns):
        entries = [row.entries[column] for row in rows]
        ns, share = sum(one.ns for one in entries), sum(one.share for one in entries)
        cells.append(Text(f"{ms(ns)} {percent(share):>7}"))
    return cells
