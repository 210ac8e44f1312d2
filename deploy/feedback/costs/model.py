"""A device's cost model: what an op would take there, from the ops that are most like it.

An op that was measured apart, in a patchwork, is known by its shape. In a network it takes another
time: caches are fuller there, memory is not as fresh, a layout may fit or not. How much another is
learned from the ops of networks that were measured apart, too, the nearest in size and in what
surrounds them (T. Cover, P. Hart, Nearest Neighbor Pattern Classification, 1967). And it goes with
how long a whole inference is: a short one stays in the caches, and finds a moment in which nothing
disturbs it. This *pace* is a line over the logarithm of the latency, the same for all ops of a
network.

The time of any other op is written as what a plain law says, times how far the nearest known ops
were from that law. The law is fitted for each word that is common ("max_pool2d"), and else for each
kind of op: a fixed cost, a time for each FLOP (a longer one where channels do not fit vectors of
eight) and a time for each byte, none below zero. Whether a runtime fuses an op is asked of the
nearest, too, by vote: a fused op is known to take nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.features import Described, described
from groundspeed.deploy.feedback.rates import fitted
from groundspeed.errors import UsageError
from groundspeed.ops import Op, OpKind

NEIGHBOURS = 4
# How far apart two ops of one size are when other kinds of ops stand before them, or behind them;
# and for the vote on fusing, of which that decides most.
SURROUNDINGS, FUSING = 2.0, 4.0
# So many ops say how much longer one takes in a network than apart, and the median of all of its
# sort weighs as much as one at this distance.
PLACED, PRIOR = 8, 1.0
# The pace of a network follows from its latency, and this from its pace: so often to and fro.
REPEATED, STEEPEST = 8, 0.5
# Of a word there must be so many that took time before it has a law of its own.
LAWFUL = 8
# An op's nearest known one further away than this is hardly like it: two doublings in size.
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
        apart = [
            _Seen(each, time, is_apart=True)
            for one in examples
            if one.is_patchwork
            for each, time in zip(one.described, one.times_ns, strict=True)
            if each.shape not in unseen
        ]
        alone = _alone(apart)
        paces = [_pace(one, alone) for one in networks]
        placed = [
            _Seen(each, time / (pace or 1.0), is_apart=False)
            for one, pace in zip(networks, paces, strict=True)
            for each, time in zip(one.described, one.times_ns, strict=True)
        ]
        self._known = _learned([*placed, *apart], alone)
        self._shapes = frozenset(each.op.shape for each in (*placed, *apart))
        self._between = _between(networks)
        known = [
            (math.log(one.total_ns), math.log(pace))
            for one, pace in zip(networks, paces, strict=True)
            if pace is not None and one.total_ns > 0
        ]
        self._pace = _line(np.array(known, dtype=float).reshape(-1, 2))

    def predict(self, ops: Sequence[Op]) -> float:
        """Return the latency of a network in nanoseconds.

        Args:
            ops: its canonical ops.
        """
        times = self.times(ops)
        return max(0.0, sum(times) + self._between(times))

    def times(self, ops: Sequence[Op]) -> list[float]:
        """Return what each op takes, in nanoseconds; 0 for one that is fused."""
        times = [self._time(each) for each in described(ops)]
        pace, total = 1.0, sum(times)
        for _ in range(REPEATED if total > 0 else 0):
            latency = max(1.0, total * pace + self._between([time * pace for time in times]))
            pace = math.exp(self._pace(math.log(latency)))
        return [time * pace for time in times]

    def fixed_ns(self, kind: OpKind) -> float:
        """Return what an op of a kind costs however small it is; 0 for a kind never seen."""
        known = self._known.get(str(kind))
        return 0.0 if known is None else known.fixed_ns

    def unknown(self, ops: Sequence[Op]) -> tuple[str, ...]:
        """Return the ops of which no kind was ever seen: they are predicted to take nothing."""
        return tuple(
            op.name
            for op, each in zip(ops, described(ops), strict=True)
            if op.memory_bytes and self._like(each) is None
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
        return self._known.get(op.word) or self._known.get(op.kind)


@dataclass(frozen=True)
class _Seen:
    """An op with the time that it took, in nanoseconds, in a network or apart from any."""

    op: Described
    time: float
    is_apart: bool


class _Known:
    """Ops of one sort, with how far each was from a law.

    Args:
        members: the ops.
        law: what a unit of each of its terms takes, in nanoseconds.
        alone: what ops took apart, by their shape.
    """

    def __init__(
        self, members: Sequence[_Seen], law: Floats, alone: Mapping[Hashable, float]
    ) -> None:
        self._law = law
        self._alone = alone
        self._sizes = np.array([_size(each.op) for each in members])
        self._before = np.array([each.op.before for each in members])
        self._after = np.array([each.op.after for each in members])
        self._times = np.array([each.time for each in members])
        twins = np.array([alone.get(each.op.shape, 0.0) for each in members])
        apart = np.array([each.is_apart for each in members])
        self._placed = np.flatnonzero(~apart & (self._times > 0) & (twins > 0))
        self._longer = np.log(self._times[self._placed] / twins[self._placed])
        self._usual = float(np.median(self._longer)) if len(self._longer) else 0.0
        lawful = np.array([max(self._lawful(each.op), 1.0) for each in members])
        # As they would be in a network.
        self._factors = self._times / lawful * np.where(apart, math.exp(self._usual), 1.0)

    @property
    def fixed_ns(self) -> float:
        """What an op costs by the law, however small it is."""
        return float(self._law[0])

    def time(self, op: Described) -> tuple[float, float]:
        """Return the distance of the nearest op in size, and what this one takes in a network."""
        apart = np.square(self._sizes - _size(op)).sum(axis=1)
        strange = (self._before != op.before).astype(int) + (self._after != op.after)
        return float(np.sqrt(apart.min())), self._time(op, apart, strange)

    def _time(self, op: Described, apart: Floats, strange: Floats) -> float:
        voters, weights = _nearest(apart + FUSING**2 * strange, NEIGHBOURS)
        if 2 * weights[self._times[voters] > 0].sum() < weights.sum():
            return 0.0
        squares = apart + SURROUNDINGS**2 * strange
        alone = self._alone.get(op.shape, 0.0)
        if alone > 0:
            return alone * math.exp(self._in_place(squares))
        own = np.flatnonzero(self._times)
        chosen, weights = _nearest(squares[own], NEIGHBOURS)
        factor = float(np.average(self._factors[own[chosen]], weights=weights))
        return factor * max(self._lawful(op), 1.0)

    def _in_place(self, squares: Floats) -> float:
        """Return the logarithm of how much longer an op takes in a network than apart."""
        if not len(self._placed):
            return 0.0
        chosen, weights = _nearest(squares[self._placed], PLACED)
        total = float(weights @ self._longer[chosen]) + PRIOR * self._usual
        return total / (float(weights.sum()) + PRIOR)

    def _lawful(self, op: Described) -> float:
        return float(self._law @ _terms(op))


def _size(op: Described) -> Floats:
    return np.array((*op.size, op.weights))


def _nearest(squares: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
    """Return the places of the smallest squared distances, and what each weighs."""
    chosen = np.argsort(squares, kind="stable")[:count]
    return chosen, 1.0 / (squares[chosen] + 0.1)


def _alone(apart: Sequence[_Seen]) -> dict[Hashable, float]:
    """Return for each shape what its ops took apart, in the median."""
    times: dict[Hashable, list[float]] = defaultdict(list)
    for each in apart:
        if each.time > 0:  # whether it is fused is asked elsewhere
            times[each.op.shape].append(each.time)
    return {shape: float(np.median(found)) for shape, found in times.items()}


def _pace(network: Example, alone: Mapping[Hashable, float]) -> float | None:
    """Return how much longer the ops of a network took than apart, if any was measured apart."""
    both = [
        (time, alone[each.shape])
        for each, time in zip(network.described, network.times_ns, strict=True)
        if time > 0 and alone.get(each.shape, 0.0) > 0
    ]
    return sum(here for here, _ in both) / sum(there for _, there in both) if both else None


def _line(points: Floats) -> Callable[[float], float]:
    """Return the line of least squares through points [N, 2], level beyond the first and the last.

    Fewer than three say nothing about a slope; and none is so steep that a pace and the latency
    that follows from it would chase each other.
    """
    if not len(points):
        return lambda place: 0.0
    places, values = points.T
    slope = 0.0
    if len(points) > 2 and np.ptp(places):
        slope = min(max(float(np.polyfit(places, values, 1)[0]), -STEEPEST), STEEPEST)
    start = float(values.mean() - slope * places.mean())
    low, high = float(places.min()), float(places.max())
    return lambda place: start + slope * min(max(place, low), high)


def _terms(op: Described) -> Floats:
    """Return what the law weighs: a fixed cost, FLOPs, bytes, and FLOPs that do not fit vectors."""
    return np.array([1.0, op.flops, op.bytes, 0.0 if op.fits else op.flops])


def _learned(seen: Iterable[_Seen], alone: Mapping[Hashable, float]) -> dict[str, _Known]:
    """Return what is known of each word and kind of op."""
    sorts: dict[str, list[_Seen]] = defaultdict(list)
    for each in seen:
        sorts[each.op.word].append(each)
        sorts[each.op.kind].append(each)

    def law(sort: str) -> Floats:
        members = sorts[sort]
        own = sum(each.time > 0 for each in members)
        return _law(members if own >= LAWFUL else sorts[members[0].op.kind])

    return {sort: _Known(members, law(sort), alone) for sort, members in sorts.items()}


def _law(members: Sequence[_Seen]) -> Floats:
    """Return what a unit of each of the law's terms takes, in nanoseconds."""
    own = [each for each in members if each.time > 0]
    if not own:
        return np.zeros(4)
    return fitted(
        np.array([_terms(each.op) for each in own]), np.array([each.time for each in own])
    )


class _Rest:
    """What no op of a network is charged with: dispatch, the engine's own stages.

    It is so much for each unit of the ops' times, in the median over networks.

    Args:
        examples: networks.
        unit: counts units.

    Attributes:
        error: how far from it these networks are, as a share of their latency, in the median.
    """

    def __init__(
        self, examples: Sequence[Example], unit: Callable[[Sequence[float]], float]
    ) -> None:
        counted = [(one, unit(one.times_ns)) for one in examples if sum(one.times_ns)]
        rates = [one.between_ns / units for one, units in counted]
        self._unit = unit
        self._rate = float(np.median(rates)) if rates else 0.0
        errors = [abs(one.between_ns - self(one.times_ns)) / one.total_ns for one, _ in counted]
        self.error = float(np.median(errors)) if errors else 0.0

    def __call__(self, times: Sequence[float]) -> float:
        """Return it for a network whose ops take these times, all in nanoseconds."""
        return self._rate * self._unit(times)


def _between(examples: Sequence[Example]) -> _Rest:
    """Return what tells the rest of these networks best: an amount for each op, or a share."""
    return min((_Rest(examples, unit) for unit in (_taking, sum)), key=lambda rest: rest.error)


def _taking(times: Sequence[float]) -> int:
    """Return how many ops take time of their own."""
    return sum(time > 0 for time in times)
