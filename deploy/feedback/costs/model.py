"""A device's cost model: what an op would take there, from the ops that are most like it.

An op's time is written as what a plain law says, times how far ops like it were from that law. The
law is fitted for each kind of op, and for each word that is common: a fixed cost, a time for each
FLOP (a longer one where channels do not fit vectors of eight) and a time for each byte, none below
zero (C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974, chapter 23). How far from it
a kernel is depends on its shape in ways that no formula tells, so the nearest known ops are asked
(T. Cover, P. Hart, Nearest Neighbor Pattern Classification, 1967). Whether a runtime fuses an op is
answered in the same way: a fused op is known to take nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls  # type: ignore[import-untyped]

from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.features import Described, described
from groundspeed.errors import UsageError
from groundspeed.ops import Op, OpKind

NEIGHBOURS = 8
# Of an op's sort there must be so many before that sort alone is asked.
ENOUGH = 3
# Of a word there must be so many that took time before it has a law of its own.
LAWFUL = 8
# A sort's nearest op further away than this is no help: two doublings in size.
_FAR = 4.0

Floats = NDArray[np.float64]


class CostModel:
    """What ops take on one device, in one runtime, precision and number of threads.

    Args:
        examples: networks that were profiled there; at least one.

    Raises:
        UsageError: there are none.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        if not examples:
            raise UsageError("nothing was profiled there, so nothing can be predicted")
        known = [
            (each, time)
            for one in examples
            for each, time in zip(described(one.ops), one.times_ns, strict=True)
        ]
        self._known = _learned(known)
        self._between = _between(examples)

    def predict(self, ops: Sequence[Op]) -> float:
        """Return the latency of a network in nanoseconds.

        Args:
            ops: its canonical ops.
        """
        times = self.times(ops)
        return max(0.0, sum(times) * (1.0 + self._between))

    def times(self, ops: Sequence[Op]) -> list[float]:
        """Return what each op takes, in nanoseconds; 0 for one that is fused."""
        return [self._time(each) for each in described(ops)]

    def fixed_ns(self, kind: OpKind) -> float:
        """Return what an op of a kind costs however small it is; 0 for a kind never seen."""
        known = self._known.get(str(kind))
        return 0.0 if known is None else known.fixed_ns

    def unknown(self, ops: Sequence[Op]) -> tuple[str, ...]:
        """Return the ops of which no kind was ever seen: they are predicted to take nothing."""
        return tuple(
            op.name
            for op, each in zip(ops, described(ops), strict=True)
            if each.bytes and not any(sort in self._known for sort in each.sorts)
        )

    def unlike(self, ops: Sequence[Op]) -> float:
        """Return the share of the time in ops that are far in size from all of their kind."""
        seen = [each for each in described(ops) if each.bytes and each.sorts[-1] in self._known]
        times = [(each, self._time(each)) for each in seen]
        total = sum(time for _, time in times)
        far = sum(time for each, time in times if self._known[each.sorts[-1]].time(each)[0] > _FAR)
        return far / total if total else 0.0

    def _time(self, op: Described) -> float:
        if not op.bytes:
            return 0.0
        for sort in op.sorts:
            known = self._known.get(sort)
            if known is None or (known.count < ENOUGH and sort != op.sorts[-1]):
                continue
            nearest, time = known.time(op)
            if nearest <= _FAR or sort == op.sorts[-1]:
                return time
        return 0.0


class _Known:
    """Ops of one sort, with how far each was from a law.

    Args:
        members: described ops with their times.
        law: what a unit of each of its terms takes, in nanoseconds.
    """

    def __init__(self, members: Sequence[tuple[Described, float]], law: Floats) -> None:
        self.count = len(members)
        self._law = law
        self._sizes = np.array([op.size for op, _ in members])
        self._factors = np.array([time / max(self._lawful(op), 1.0) for op, time in members])

    @property
    def fixed_ns(self) -> float:
        """What an op costs by the law, however small it is."""
        return float(self._law[0])

    def time(self, op: Described) -> tuple[float, float]:
        """Return the distance of the nearest op, and what the nearest few say this one takes."""
        distances = np.linalg.norm(self._sizes - op.size, axis=1)
        nearest = np.argsort(distances, kind="stable")[:NEIGHBOURS]
        weights = 1.0 / (distances[nearest] ** 2 + 0.01)
        factor = float(np.average(self._factors[nearest], weights=weights))
        return float(distances[nearest[0]]), factor * self._lawful(op)

    def _lawful(self, op: Described) -> float:
        return float(self._law @ _terms(op))


def _terms(op: Described) -> Floats:
    """Return what the law weighs: a fixed cost, FLOPs, bytes, and FLOPs that do not fit vectors."""
    return np.array([1.0, op.flops, op.bytes, 0.0 if op.fits else op.flops])


def _learned(examples: Iterable[tuple[Described, float]]) -> dict[str, _Known]:
    """Return what is known of each sort of op.

    An op has the law of its word ("max_pool2d") where enough is known of it, else that of its kind.
    """
    sorts: dict[str, list[tuple[Described, float]]] = defaultdict(list)
    for op, time in examples:
        if op.bytes:
            for sort in op.sorts:
                sorts[sort].append((op, time))
    laws = {sort: _law(members) for sort, members in sorts.items()}

    def law(sort: str, op: Described) -> Floats:
        if sort == op.sorts[-1]:
            return laws[sort]
        own = sum(time > 0 for _, time in sorts[op.sorts[-2]])
        return laws[op.sorts[-2] if own >= LAWFUL else op.sorts[-1]]

    return {sort: _Known(members, law(sort, members[0][0])) for sort, members in sorts.items()}


def _law(members: Sequence[tuple[Described, float]]) -> Floats:
    """Return what a unit of each of the law's terms takes, in nanoseconds.

    Relative errors are what counts, so that small ops are not drowned by large ones.
    """
    own = [(op, time) for op, time in members if time > 0]
    if not own:
        return np.zeros(4)
    terms = np.array([_terms(op) / time for op, time in own])
    # Columns of one size: the solver's tolerance is absolute.
    scale = np.maximum(np.linalg.norm(terms, axis=0), 1e-300)
    solution, _ = nnls(terms / scale, np.ones(len(own)))
    law: Floats = solution / scale
    return law


def _between(examples: Sequence[Example]) -> float:
    """Return what no op is charged with, as a share of what they are: the median over networks."""
    shares = [one.between_ns / sum(one.times_ns) for one in examples if sum(one.times_ns)]
    return float(np.median(shares)) if shares else 0.0
