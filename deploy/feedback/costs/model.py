"""A device's cost model: what an op would take there, from the ops that are most like it.

An op's time is written as what a plain law says, times how far ops like it were from that law. The
law is fitted for each word that is common ("max_pool2d"), and else for each kind of op: a fixed
cost, a time for each FLOP (a longer one where channels do not fit vectors of eight) and a time for
each byte, none below zero (C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974,
chapter 23). How far from it a kernel is depends on its shape in ways that no formula tells, so the
nearest known ops are asked (T. Cover, P. Hart, Nearest Neighbor Pattern Classification, 1967): the
nearest in size, and in what surrounds them. Whether a runtime fuses an op is answered in the same
way, by vote: a fused op is known to take nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls  # type: ignore[import-untyped]

from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.features import Described, described
from groundspeed.errors import UsageError
from groundspeed.ops import Op, OpKind

NEIGHBOURS = 4
# How far apart two ops of one size are when other kinds of ops stand before them, or behind them.
SURROUNDINGS = 2.0
# Of a word there must be so many that took time before it has a law of its own.
LAWFUL = 8
# An op's nearest known one further away than this is no help: two doublings in size.
_FAR = 4.0

Floats = NDArray[np.float64]


class CostModel:
    """What ops take on one device, in one runtime, precision and number of threads.

    Args:
        examples: networks that were profiled there, one at least, and microbenchmarks.
        unseen: shapes of ops that are not to be learned from microbenchmarks.

    Raises:
        UsageError: there is no network.
    """

    def __init__(self, examples: Sequence[Example], unseen: Collection[Hashable] = ()) -> None:
        networks = [one for one in examples if not one.is_patchwork]
        if not networks:
            raise UsageError("no network was profiled there, so none can be predicted")
        seen = [
            (each, time)
            for one in examples
            for each, time in zip(described(one.ops), one.times_ns, strict=True)
            if each.bytes and not (one.is_patchwork and each.shape in unseen)
        ]
        self._known = _learned(seen)
        self._shapes = frozenset(each.shape for each, _ in seen)
        self._between = _between(networks)

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
            if each.bytes and self._like(each) is None
        )

    def unlike(self, ops: Sequence[Op]) -> float:
        """Return the share of the time in ops that are far in size from all of their kind."""
        found = [known.time(each) for each in described(ops) if (known := self._like(each))]
        total = sum(time for _, time in found)
        return sum(time for distance, time in found if distance > _FAR) / total if total else 0.0

    def met(self, ops: Sequence[Op]) -> float:
        """Return the share of the time in ops that were measured in their very shape."""
        times = [(self._time(each), each.shape in self._shapes) for each in described(ops)]
        total = sum(time for time, _ in times)
        return sum(time for time, is_met in times if is_met) / total if total else 0.0

    def _time(self, op: Described) -> float:
        known = self._like(op)
        return 0.0 if known is None else known.time(op)[1]

    def _like(self, op: Described) -> _Known | None:
        """Return what is known of ops of its word, or else of its kind."""
        if not op.bytes:
            return None
        return self._known.get(op.word) or self._known.get(op.kind)


class _Known:
    """Ops of one sort, with how far each was from a law.

    Args:
        members: described ops with their times.
        law: what a unit of each of its terms takes, in nanoseconds.
    """

    def __init__(self, members: Sequence[tuple[Described, float]], law: Floats) -> None:
        self._law = law
        self._sizes = np.array([(*op.size, op.weights) for op, _ in members])
        self._before = np.array([op.before for op, _ in members])
        self._after = np.array([op.after for op, _ in members])
        self._factors = np.array([time / max(self._lawful(op), 1.0) for op, time in members])

    @property
    def fixed_ns(self) -> float:
        """What an op costs by the law, however small it is."""
        return float(self._law[0])

    def time(self, op: Described) -> tuple[float, float]:
        """Return the distance of the nearest op, and what the nearest few say this one takes."""
        apart = np.array((*op.size, op.weights)) - self._sizes
        strange = (self._before != op.before).astype(int) + (self._after != op.after)
        squares = np.square(apart).sum(axis=1) + SURROUNDINGS**2 * strange
        nearest = np.argsort(squares, kind="stable")[:NEIGHBOURS]
        weights, factors = 1.0 / (squares[nearest] + 0.01), self._factors[nearest]
        distance = float(np.sqrt(np.square(apart).sum(axis=1).min()))
        own = factors > 0
        if 2 * weights[own].sum() < weights.sum():
            return distance, 0.0
        factor = float(np.average(factors[own], weights=weights[own]))
        return distance, factor * max(self._lawful(op), 1.0)

    def _lawful(self, op: Described) -> float:
        return float(self._law @ _terms(op))


def _terms(op: Described) -> Floats:
    """Return what the law weighs: a fixed cost, FLOPs, bytes, and FLOPs that do not fit vectors."""
    return np.array([1.0, op.flops, op.bytes, 0.0 if op.fits else op.flops])


def _learned(examples: Iterable[tuple[Described, float]]) -> dict[str, _Known]:
    """Return what is known of each word and kind of op."""
    sorts: dict[str, list[tuple[Described, float]]] = defaultdict(list)
    for op, time in examples:
        sorts[op.word].append((op, time))
        sorts[op.kind].append((op, time))

    def law(sort: str) -> Floats:
        members = sorts[sort]
        own = sum(time > 0 for _, time in members)
        return _law(members if own >= LAWFUL else sorts[members[0][0].kind])

    return {sort: _Known(members, law(sort)) for sort, members in sorts.items()}


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
