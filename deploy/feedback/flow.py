"""Who reads whose result: in a network, among the ops that a runtime executed, and across both."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from groundspeed.measurement import ProfiledOp
from groundspeed.ops import Op


@dataclass(frozen=True)
class Flow:
    """Ops by their positions in order of computation.

    Attributes:
        sources: for each op, those whose results it reads.
        readers: for each op, those that read its result.
    """

    sources: tuple[tuple[int, ...], ...]
    readers: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(sources: Sequence[Sequence[int]]) -> Flow:
        """Return the flow in which each op reads from these."""
        readers: list[list[int]] = [[] for _ in sources]
        for position, read in enumerate(sources):
            for source in read:
                readers[source].append(position)
        return Flow(tuple(map(tuple, sources)), tuple(map(tuple, readers)))

    @property
    def known(self) -> bool:
        """Whether any op is known to read another's result."""
        return any(self.sources)


def canonical_flow(ops: Sequence[Op]) -> Flow:
    """Return the flow of a network; without any knowledge of it, that of a chain."""
    places = {op.name: place for place, op in enumerate(ops)}
    flow = Flow.of([[places[name] for name in op.inputs if name in places] for op in ops])
    if flow.known or not ops:
        return flow
    return Flow.of([[], *([place] for place in range(len(ops) - 1))])


def executed_flow(ops: Sequence[ProfiledOp]) -> Flow:
    """Return the flow among executed ops, as far as the runtime told it."""
    return Flow.of([op.reads for op in ops])


def nearest(
    starts: Sequence[int], steps: Sequence[Sequence[int]], wanted: Callable[[int], bool]
) -> Iterator[int]:
    """Yield the wanted ops that can be reached without passing another wanted one.

    Args:
        starts: where to begin, themselves among what may be wanted.
        steps: for each op, those that are one step away: ``sources`` or ``readers`` of a flow.
        wanted: whether an op is wanted.
    """
    seen = set(starts)
    waiting = deque(starts)
    while waiting:
        place = waiting.popleft()
        if wanted(place):
            yield place
            continue
        further = [each for each in steps[place] if each not in seen]
        seen.update(further)
        waiting.extend(further)


def reached(
    starts: Sequence[int], steps: Sequence[Sequence[int]], stop: Callable[[int], bool]
) -> set[int]:
    """Return the ops that can be reached without passing one where to stop, itself not among them.

    Args:
        starts: where to begin.
        steps: for each op, those that are one step away.
        stop: whether to go no further.
    """
    found: set[int] = set()
    waiting = deque(starts)
    while waiting:
        place = waiting.popleft()
        if place not in found and not stop(place):
            found.add(place)
            waiting.extend(steps[place])
    return found
