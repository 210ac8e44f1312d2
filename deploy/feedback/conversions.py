"""What a runtime does between the ops of a network that the network never asked for."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from groundspeed.deploy.feedback.align import AttributedOp
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.vocabulary import kind_of
from groundspeed.measurement import ProfiledOp
from groundspeed.ops import Op, OpKind

# Words for the same values in another order or type. Others that only move (padding, the stages
# of a runtime's own run) are no conversions.
_LAYOUT = re.compile(r"reorder|transpose|permute|packing|memcpy|cast|convert|copy", re.IGNORECASE)
_INTEGERS = {"QUANTIZE", "DEQUANTIZE"}


@dataclass(frozen=True)
class Conversion:
    """An executed op that stands between two ops of the network.

    Attributes:
        position: among what the runtime executed.
        word: what the runtime calls it.
        before, after: the nearest op of the network on each side.
        module: innermost module that holds both.
    """

    position: int
    word: str
    before: Op
    after: Op
    module: str

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(
            module=self.module,
            line=self.after.line,
            ops=(self.before.name, self.after.name),
            what=f"{self.word} between {_said(self.before)} and {_said(self.after)}",
        )


def layout_conversions(scene: Scene) -> Iterator[Conversion]:
    """Yield what the runtime inserted to have values in another order or floating-point type."""

    def is_one(op: AttributedOp) -> bool:
        return op.inserted and not is_border(op.executed) and bool(_LAYOUT.search(op.executed.type))

    return _inside(scene, is_one)


def borders(scene: Scene) -> Iterator[Conversion]:
    """Yield what turns floating-point numbers into integers or back."""
    return _inside(scene, lambda op: is_border(op.executed))


def around(
    scene: Scene, positions: Collection[int], entries: Collection[int] | None = None
) -> tuple[int, ...]:
    """Return the layout conversions on both sides of executed ops, if there are on both.

    Without these ops, what they read and what reads them would have the same layout, and the
    conversions would go as well.

    Args:
        scene: what the runtime executed.
        positions: the ops.
        entries: those of them that read what would stand in their place; by default all.
    """
    reads, inside = _reads(scene), set(positions)
    layout = {conversion.position for conversion in layout_conversions(scene)}
    entered = inside if entries is None else inside.intersection(entries)
    before = {source for each in entered for source in reads[each]} - inside
    readers = {i for i, sources in enumerate(reads) if not before.isdisjoint(sources)}
    after = {i for i, sources in enumerate(reads) if not inside.isdisjoint(sources)} - inside
    alone = bool(before) and bool(after) and readers <= inside and before | after <= layout
    return tuple(sorted(before | after)) if alone else ()


def is_border(op: ProfiledOp) -> bool:
    """Return whether an executed op quantizes or dequantizes."""
    # XNNPACK calls all changes of type "Convert"; the name holds the file's operator.
    return kind_of(op.type) is OpKind.QUANTIZE or op.name.partition(" ")[0] in _INTEGERS


def _inside(scene: Scene, is_one: Callable[[AttributedOp], bool]) -> Iterator[Conversion]:
    """Yield executed ops of a sort that have a layer with weights on each side.

    What stands before the first layer or behind the last any network pays once. In a network of
    convolutions these are the layers: a head of pooling and linear layers is on the way out.
    """
    reads = _reads(scene)
    readers: list[list[int]] = [[] for _ in reads]
    for position, sources in enumerate(reads):
        for source in sources:
            readers[source].append(position)
    kinds = {row.op.kind for row in scene.executed if row.op.macs}
    layers = kinds - {OpKind.LINEAR} or kinds
    for position, row in enumerate(scene.executed):
        if is_one(row.op):
            sides = [list(_reachable(position, links)) for links in (reads, readers)]
            if all(any(scene.executed[i].op.kind in layers for i in side) for side in sides):
                before, after = (next(i for i in side if _computes(scene, i)) for side in sides)
                yield Conversion(
                    position,
                    row.op.executed.type,
                    scene.executed[before].op.covers[-1],
                    scene.executed[after].op.covers[0],
                    row.op.module,
                )


def _computes(scene: Scene, position: int) -> bool:
    op = scene.executed[position].op
    return bool(op.covers) and not is_border(op.executed)


def _reads(scene: Scene) -> Sequence[Sequence[int]]:
    """Return the positions that each executed op reads: the one before it if nobody could tell."""
    known = [row.op.executed.reads for row in scene.executed]
    return known if any(known) else [range(max(0, i - 1), i) for i in range(len(known))]


def _reachable(position: int, links: Sequence[Sequence[int]]) -> Iterator[int]:
    """Yield the positions that links lead to, the nearest first."""
    seen = {position}
    queue = deque(links[position])
    while queue:
        each = queue.popleft()
        if each not in seen:
            seen.add(each)
            yield each
            queue.extend(links[each])


def _said(op: Op) -> str:
    return f"{op.name} ({op.kind})"
