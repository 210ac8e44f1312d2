"""The same network in several runtimes, line by line of the user's source.

A row is a module path and a source line with the ops of the network that come from there. Beside
it stands for each runtime what its executed ops for them take, and what it made of each op. An
executed op that covers several ops of the network is shown with the heaviest; the rows of the
others say that they were fused into it.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.breakdown import Breakdown, OpRow
from groundspeed.errors import UsageError
from groundspeed.ops import Op

Key = tuple[str, str]


class Fate(enum.StrEnum):
    """What a runtime made of an op of the network."""

    COMPUTED = "computed"  # by one executed op, which may do more besides
    FUSED = "fused"  # into an executed op that is shown with a heavier one
    SPLIT = "split"  # into several executed ops
    VANISHED = "vanished"  # nothing was left to do
    UNKNOWN = "not found"  # it multiplies, and no executed op is known for it


@dataclass(frozen=True, kw_only=True)
class Made:
    """What one runtime made of one op.

    Attributes:
        fate: in a word.
        into: the heavier op that it was fused into; "" if it was not.
        words: the runtime's words for the executed ops that compute it, in order.
    """

    fate: Fate
    into: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a row takes in one runtime.

    Attributes:
        ns: duration of the executed ops that are shown in this row.
        share: of the end-to-end time without the profiler.
        executed: how many executed ops there are.
        inserted: how many of them only move or convert values that others compute.
        inserted_ns: what these take.
    """

    ns: float
    share: float
    executed: int
    inserted: int
    inserted_ns: float


@dataclass(frozen=True, kw_only=True)
class OpAcross:
    """An op of the network; ``made`` goes with the columns."""

    op: Op
    made: tuple[Made, ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the user's source in a module; ``entries`` go with the columns.

    Attributes:
        module: dotted path, "" for the root.
        line: ``file:line``, "" when unknown, and for executed ops that are not tied.
        ops: ops of the network from there; none in a row of executed ops that are not tied.
        entries: what it takes in each runtime.
    """

    module: str
    line: str
    ops: tuple[OpAcross, ...]
    entries: tuple[Entry, ...]

    @property
    def share(self) -> float:
        """The largest share of the time that it takes in any runtime."""
        return max(entry.share for entry in self.entries)


@dataclass(frozen=True, kw_only=True)
class Across:
    """A network in several runtimes.

    Attributes:
        columns: what the runtimes are called here.
        rows: in order of computation, what is not tied last.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def across(profiled: Mapping[str, tuple[Manifest, Breakdown]]) -> Across:
    """Return one network as several runtimes executed it.

    Args:
        profiled: what each column is called -> the manifest of the file that was profiled, and
            where its time goes; at least one.

    Raises:
        UsageError: the files are not of one network.
    """
    if len({manifest.source.digest for manifest, _ in profiled.values()}) != 1:
        raise UsageError(
            f"{', '.join(profiled)} were not made from one network, so their ops cannot stand side "
            "by side; export all of them from the same weights"
        )
    ops = {op.name: op for manifest, _ in profiled.values() for op in manifest.ops}
    columns = [_Column(breakdown) for _, breakdown in profiled.values()]
    keys = [_key(op) for op in ops.values()]
    keys += [key for column in columns for key in column.entries]
    return Across(
        columns=tuple(profiled),
        rows=tuple(
            Row(
                module=module,
                line=line,
                ops=tuple(
                    OpAcross(op=op, made=tuple(column.made(op) for column in columns))
                    for op in ops.values()
                    if _key(op) == (module, line)
                ),
                entries=tuple(column.entry((module, line)) for column in columns),
            )
            for module, line in dict.fromkeys(keys)
        ),
    )


class _Column:
    """One runtime's executed ops, by row and by op of the network."""

    def __init__(self, breakdown: Breakdown) -> None:
        self.entries: dict[Key, list[OpRow]] = defaultdict(list)
        self._covering: dict[str, list[OpRow]] = defaultdict(list)
        for row in breakdown.ops:
            self.entries[row.op.module, row.op.line].append(row)
            for op in row.op.covers:
                self._covering[op.name].append(row)

    def entry(self, key: Key) -> Entry:
        rows = self.entries.get(key, [])
        inserted = [row for row in rows if row.op.moves is not None]
        return Entry(
            ns=_total(rows),
            share=sum(row.share for row in rows),
            executed=len(rows),
            inserted=len(inserted),
            inserted_ns=_total(inserted),
        )

    def made(self, op: Op) -> Made:
        rows = self._covering.get(op.name, [])
        words = tuple(row.op.executed.type for row in rows)
        if not rows:
            return Made(fate=Fate.UNKNOWN if op.macs else Fate.VANISHED)
        if len(rows) > 1:
            return Made(fate=Fate.SPLIT, words=words)
        main = rows[0].op.main
        if main is None or main.name == op.name:
            return Made(fate=Fate.COMPUTED, words=words)
        return Made(fate=Fate.FUSED, into=main.name, words=words)


def _key(op: Op) -> Key:
    return op.module, op.line


def _total(rows: Sequence[OpRow]) -> float:
    return sum(row.time.ns for row in rows)
