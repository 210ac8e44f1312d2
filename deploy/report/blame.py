"""Why a file of integers is slower than the float file: what both profiles spent where.

A runtime fuses other ops in integers than in floats, so that executed ops do not compare one by
one. What compares is a *piece*: the least set of the network's ops that no executed op of either
file reaches out of. What stands for no op of the network is counted by what it does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.deploy.feedback.breakdown import Breakdown, OpRow
from groundspeed.ops import OpKind

WORST = 3
INSERTED = "inserted by the runtime (reorder, change of layout)"


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """Executed ops that do none of the network's work.

    Attributes:
        what: what they do.
        ops: how many there are in the integer file.
        ns: what they take there.
        float_ns: what such ops take in the float file.
    """

    what: str
    ops: int
    ns: float
    float_ns: float


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Work of the network that takes longer in integers.

    Attributes:
        module: path of the module that its heaviest op stems from, "" for the root.
        executed: the integer runtime's words for the ops that it ran for it.
        ns: what they take.
        float_ns: what the same work takes in the float file.
    """

    module: str
    executed: tuple[str, ...]
    ns: float
    float_ns: float


@dataclass(frozen=True, kw_only=True)
class Blame:
    """Where an integer file loses time against the float file.

    Attributes:
        overheads: the costliest first; none without an op in the integer file.
        slower: the pieces that lose the most, the worst first.
    """

    overheads: tuple[Overhead, ...]
    slower: tuple[Piece, ...]


def blame(integers: Breakdown, floats: Breakdown) -> Blame:
    """Return where the file behind ``integers`` loses time against that behind ``floats``."""
    return Blame(overheads=_overheads(integers, floats), slower=_slower(integers, floats))


def is_overhead(row: OpRow) -> bool:
    """Return whether an executed op does none of the network's work."""
    return not row.op.covers


def _what(row: OpRow) -> str:
    if row.op.kind is OpKind.QUANTIZE:
        return str(OpKind.QUANTIZE)
    return INSERTED if row.op.inserted else f"other {row.op.kind}"


def _overheads(integers: Breakdown, floats: Breakdown) -> tuple[Overhead, ...]:
    before: dict[str, float] = defaultdict(float)
    for row in filter(is_overhead, floats.ops):
        before[_what(row)] += row.time.ns
    groups: dict[str, list[OpRow]] = {}
    for row in filter(is_overhead, integers.ops):
        groups.setdefault(_what(row), []).append(row)
    overheads = [
        Overhead(
            what=what, ops=len(rows), ns=sum(row.time.ns for row in rows), float_ns=before[what]
        )
        for what, rows in groups.items()
    ]
    return tuple(sorted(overheads, key=lambda overhead: -overhead.ns))


def _slower(integers: Breakdown, floats: Breakdown) -> tuple[Piece, ...]:
    ours = [row for row in integers.ops if not is_overhead(row)]
    theirs = [row for row in floats.ops if not is_overhead(row)]
    pieces = []
    for names in _joined([{op.name for op in row.op.covers} for row in (*ours, *theirs)]):
        now, before = _inside(ours, names), _inside(theirs, names)
        if now and before:
            pieces.append(_piece(now, before))
    losing = [piece for piece in pieces if piece.ns > piece.float_ns]
    return tuple(sorted(losing, key=lambda piece: piece.float_ns - piece.ns)[:WORST])


def _joined(sets: Sequence[set[str]]) -> list[set[str]]:
    """Return the unions of those that hang together by common members."""
    unions: list[set[str]] = []
    for one in sets:
        apart = [union for union in unions if not union & one]
        unions = [*apart, one.union(*(union for union in unions if union & one))]
    return unions


def _inside(rows: Sequence[OpRow], names: set[str]) -> list[OpRow]:
    return [row for row in rows if row.op.covers[0].name in names]


def _piece(now: Sequence[OpRow], before: Sequence[OpRow]) -> Piece:
    return Piece(
        module=max(now, key=lambda row: (row.op.macs, row.time.ns)).op.module,
        executed=tuple(dict.fromkeys(row.op.executed.type for row in now)),
        ns=sum(row.time.ns for row in now),
        float_ns=sum(row.time.ns for row in before),
    )
