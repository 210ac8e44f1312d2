"""The same op kinds and modules side by side in all cells of a network."""

from __future__ import annotations

from dataclasses import dataclass

from groundspeed.deploy.feedback.breakdown import tree_order
from groundspeed.deploy.report.content import Network
from groundspeed.ops import OpKind

REST = "dispatch and unexplained"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one row costs in one cell.

    Attributes:
        ns: duration.
        share: of the end-to-end time without the profiler.
        ops: executed ops in it.
    """

    ns: float
    share: float
    ops: int


@dataclass(frozen=True, kw_only=True)
class PatternRow:
    """A pattern of work: an op kind, or what is left; ``entries`` go with the profiled cells."""

    name: str
    kind: OpKind | None
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True, kw_only=True)
class ModuleLine:
    """A module of the user's network; ``entries`` go with the profiled cells.

    Attributes:
        path: dotted path, "" for the whole network.
        name: last part of the path.
        depth: how many modules it is inside of.
        parent: path of the module that holds it.
        line: ``file:line`` in the user's source, "" when unknown.
        macs: multiply-accumulates inside, the most that any cell was charged with.
        inside: whether it has submodules that are listed.
    """

    path: str
    name: str
    depth: int
    parent: str
    line: str
    macs: int
    inside: bool
    entries: tuple[Entry | None, ...]


def patterns(network: Network) -> tuple[PatternRow, ...]:
    """Return the rows of the pattern summary, the costliest kind first, what is left last.

    The shares of one cell add up to 1.
    """
    by_cell = [{row.kind: row for row in breakdown.kinds} for _, breakdown in network.profiled]
    kinds = {
        kind: max(rows[kind].share for rows in by_cell if kind in rows)
        for rows in by_cell
        for kind in rows
    }
    table = [
        PatternRow(
            name=str(kind),
            kind=kind,
            entries=tuple(
                Entry(ns=row.time.ns, share=row.share, ops=row.ops)
                if (row := rows.get(kind))
                else None
                for rows in by_cell
            ),
        )
        for kind in sorted(kinds, key=lambda kind: -kinds[kind])
    ]
    rest = tuple(
        Entry(ns=breakdown.rest.ns, share=breakdown.rest.ns / breakdown.plain.ns, ops=0)
        for _, breakdown in network.profiled
    )
    return (*table, PatternRow(name=REST, kind=None, entries=rest))


def inserted(network: Network) -> tuple[Entry, ...]:
    """Return for each profiled cell what data movement costs that the runtime added itself."""
    entries = []
    for _, breakdown in network.profiled:
        rows = [row for row in breakdown.ops if row.op.inserted]
        entries.append(
            Entry(
                ns=sum(row.time.ns for row in rows),
                share=sum(row.share for row in rows),
                ops=len(rows),
            )
        )
    return tuple(entries)


def modules(network: Network) -> tuple[ModuleLine, ...]:
    """Return the modules that any cell spent time in, as a tree printed line by line."""
    by_cell = [{row.path: row for row in breakdown.modules} for _, breakdown in network.profiled]
    paths = tree_order(path for rows in by_cell for path in rows)
    parents = {path.rpartition(".")[0] for path in paths if path}
    lines = []
    for path in paths:
        rows = [of_cell.get(path) for of_cell in by_cell]
        known = [row for row in rows if row is not None]
        lines.append(
            ModuleLine(
                path=path,
                name=path.rpartition(".")[2],
                depth=len(path.split(".")) if path else 0,
                parent=path.rpartition(".")[0],
                line=next((row.line for row in known if row.line), ""),
                macs=max(row.macs for row in known),
                inside=path in parents,
                entries=tuple(
                    Entry(ns=row.time.ns, share=row.share, ops=row.ops) if row else None
                    for row in rows
                ),
            )
        )
    return tuple(lines)
