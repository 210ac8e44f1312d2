"""Where the time of one profiled launch goes: by op, by op kind, by module, and what is left.

Every figure is a *midmean over runs*: the mean over the middle half of the runs, ordered by their
end-to-end time. Like a median it shrugs off the runs that something else on the machine disturbed;
unlike medians, such means add up, because all ops are averaged over the same runs. Times are scaled
to nothing: what the ops do not account for is shown as a rest. Who asks what ops take when nothing
disturbs them averages over the fastest tenth of the runs instead.

Intervals are 95 % percentile bootstrap intervals over the runs of this one launch. They do not know
how launches differ from each other; the latency estimate over launches does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.align import AttributedOp, attribute
from groundspeed.measurement import OpProfile
from groundspeed.ops import Op, OpKind

RESAMPLES = 1000
_SEED = 20261122  # the same profile gives the same interval, always

# Shares of the runs, ordered by their end-to-end time, between which they are averaged.
MIDDLE = (0.25, 0.75)
FASTEST = (0.0, 0.1)

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Time:
    """A duration in nanoseconds with its 95 % interval over the runs."""

    ns: float
    low_ns: float
    high_ns: float


@dataclass(frozen=True, kw_only=True)
class OpRow:
    """One executed op and what it achieved.

    Attributes:
        op: what it stands for.
        time: how long it took.
        share: of the end-to-end time without the profiler.
        flops_per_s: achieved arithmetic, None when it has none on paper.
        bytes_per_s: achieved memory access by the cost on paper, None when that is unknown. It can
            pass the memory's bandwidth, because what was just written is still in a cache.
    """

    op: AttributedOp
    time: Time
    share: float
    flops_per_s: float | None
    bytes_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class KindRow:
    """All executed ops of one kind."""

    kind: OpKind
    ops: int
    time: Time
    share: float
    macs: int


@dataclass(frozen=True, kw_only=True)
class ModuleRow:
    """A module of the user's network with everything inside it.

    Attributes:
        path: dotted path, "" for the whole network.
        line: first ``file:line`` in the user's source that an op of it came from.
        ops: executed ops inside.
        time: of all ops inside, submodules included.
        own_ns: the part of it that belongs to no submodule.
        share: of the end-to-end time without the profiler.
        macs: of all ops inside.
    """

    path: str
    line: str
    ops: int
    time: Time
    own_ns: float
    share: float
    macs: int


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """The time of one profiled launch, taken apart.

    Attributes:
        runs: how many runs were profiled.
        plain: end-to-end time without the profiler.
        profiled: end-to-end time with it.
        ops_total: sum of the ops' times.
        profiler_cost: ``profiled - plain``.
        between_ops: ``profiled - ops_total``: dispatch and the profiler's bookkeeping.
        rest: ``plain - ops_total``: dispatch, and what no timer saw. Negative when some of the
            profiler's cost lies inside the ops' times.
        closure: ``ops_total / plain``.
        coverage: share of the ops' time in those that are tied to the network; the stages of the
            runtime's own run are no ops. 1 without any ops.
        ops: in order of execution.
        kinds: the costliest first.
        modules: every module with an op inside, as a tree printed line by line: a module comes
            right before what is inside it, siblings in order of first execution.
        uncharged: canonical ops with MACs for which no executed op was found.
    """

    runs: int
    plain: Time
    profiled: Time
    ops_total: Time
    profiler_cost: Time
    between_ops: Time
    rest: Time
    closure: float
    coverage: float
    ops: tuple[OpRow, ...]
    kinds: tuple[KindRow, ...]
    modules: tuple[ModuleRow, ...]
    uncharged: tuple[Op, ...]

    @property
    def dispatch_ns(self) -> float | None:
        """Upper bound of the fixed cost of one op: the rest spread over all executed ops.

        None when the rest is not positive: then nothing can be said.
        """
        return self.rest.ns / len(self.ops) if self.ops and self.rest.ns > 0 else None


class _Runs:
    """Weights of runs: row 0 makes the average, the other rows its bootstrap resamples."""

    def __init__(
        self, totals_ns: Iterable[int], seed: int, part: tuple[float, float] = MIDDLE
    ) -> None:
        totals = np.asarray(tuple(totals_ns), dtype=np.float64)
        count = len(totals)
        drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
        drawn = np.vstack([np.arange(count), drawn])
        ranked = np.take_along_axis(drawn, np.argsort(totals[drawn], axis=1, kind="stable"), axis=1)
        first, last = part
        taken = ranked[:, math.floor(count * first) : math.ceil(count * last)]
        self._weights = np.zeros((RESAMPLES + 1, count))
        np.add.at(self._weights, (np.arange(RESAMPLES + 1)[:, None], taken), 1 / taken.shape[1])

    def average(self, times_ns: Iterable[int]) -> Floats:
        """Return the average of ``times_ns`` and, behind it, its resamples."""
        averaged: Floats = self._weights @ np.asarray(tuple(times_ns), dtype=np.float64)
        return averaged


def break_down(
    manifest: Manifest, profile: OpProfile, part: tuple[float, float] = MIDDLE
) -> Breakdown:
    """Take the time of a profiled launch apart.

    Args:
        manifest: of the file.
        profile: what was measured.
        part: which of its runs count, ``MIDDLE`` or ``FASTEST``.
    """
    attribution = attribute(manifest, profile)
    runs = _Runs(profile.profiled_ns, _SEED, part)
    profiled = runs.average(profile.profiled_ns)
    plain = _Runs(profile.plain_ns, _SEED + 1, part).average(profile.plain_ns)
    averages = [runs.average(op.times_ns) for op in attribution.ops]
    total = np.sum(averages, axis=0) if averages else np.zeros(RESAMPLES + 1)
    return Breakdown(
        runs=len(profile.profiled_ns),
        plain=_time(plain),
        profiled=_time(profiled),
        ops_total=_time(total),
        profiler_cost=_time(profiled - plain),
        between_ops=_time(profiled - total),
        rest=_time(plain - total),
        closure=float(total[0] / plain[0]),
        coverage=_coverage(attribution.ops, averages),
        ops=tuple(
            _op_row(op, average, plain)
            for op, average in zip(attribution.ops, averages, strict=True)
        ),
        kinds=_kind_rows(attribution.ops, averages, plain),
        modules=_module_rows(attribution.ops, averages, plain),
        uncharged=attribution.uncharged,
    )


def charged(
    breakdown: Breakdown, profile: OpProfile, shares: Mapping[int, float], dispatches: int = 0
) -> Time:
    """Return the time of shares of executed ops together.

    Args:
        breakdown: of the profile.
        profile: the times of the ops.
        shares: position of an executed op -> the share of its time that counts.
        dispatches: how often the fixed cost of one op is added, as far as it is known; it has no
            interval of its own.
    """
    runs = _Runs(profile.profiled_ns, _SEED)
    parts = [share * runs.average(profile.times_ns[i]) for i, share in shares.items()]
    fixed = dispatches * (breakdown.dispatch_ns or 0.0)
    return _time(np.sum(parts, axis=0) + fixed if parts else np.full(RESAMPLES + 1, fixed))


def _time(samples: Floats) -> Time:
    low, high = np.quantile(samples[1:], (0.025, 0.975))
    return Time(ns=float(samples[0]), low_ns=float(low), high_ns=float(high))


def _coverage(ops: Iterable[AttributedOp], averages: Iterable[Floats]) -> float:
    times = [
        (op.tied, float(average[0]))
        for op, average in zip(ops, averages, strict=True)
        if not op.executed.stage
    ]
    total = sum(time for _, time in times)
    return sum(time for tied, time in times if tied) / total if total > 0 else 1.0


def _op_row(op: AttributedOp, average: Floats, plain: Floats) -> OpRow:
    seconds = average[0] / 1e9
    return OpRow(
        op=op,
        time=_time(average),
        share=float(average[0] / plain[0]),
        flops_per_s=float(op.flops / seconds) if op.flops and seconds > 0 else None,
        bytes_per_s=float(op.memory_bytes / seconds) if op.memory_bytes and seconds > 0 else None,
    )


def _group(
    ops: Iterable[AttributedOp],
    averages: Iterable[Floats],
    keys: Callable[[AttributedOp], Iterable[Key]],
) -> dict[Key, list[tuple[AttributedOp, Floats]]]:
    groups: dict[Key, list[tuple[AttributedOp, Floats]]] = {}
    for op, average in zip(ops, averages, strict=True):
        for key in keys(op):
            groups.setdefault(key, []).append((op, average))
    return groups


def _kind_rows(
    ops: tuple[AttributedOp, ...], averages: list[Floats], plain: Floats
) -> tuple[KindRow, ...]:
    rows = []
    for kind, members in _group(ops, averages, lambda op: (op.kind,)).items():
        total = np.sum([average for _, average in members], axis=0)
        rows.append(
            KindRow(
                kind=kind,
                ops=len(members),
                time=_time(total),
                share=float(total[0] / plain[0]),
                macs=sum(op.macs for op, _ in members),
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.time.ns))


def _module_rows(
    ops: tuple[AttributedOp, ...], averages: list[Floats], plain: Floats
) -> tuple[ModuleRow, ...]:
    groups = _group(ops, averages, lambda op: ancestors(op.module))
    rows = []
    for path in tree_order(groups):
        members = groups[path]
        total = np.sum([average for _, average in members], axis=0)
        rows.append(
            ModuleRow(
                path=path,
                line=next((op.line for op, _ in members if op.line), ""),
                ops=len(members),
                time=_time(total),
                own_ns=float(sum(average[0] for op, average in members if op.module == path)),
                share=float(total[0] / plain[0]),
                macs=sum(op.macs for op, _ in members),
            )
        )
    return tuple(rows)


def ancestors(path: str) -> tuple[str, ...]:
    """Return the paths from the root to a module: "a.b" -> "", "a", "a.b"."""
    parts = path.split(".") if path else []
    return tuple(".".join(parts[:depth]) for depth in range(len(parts) + 1))


def tree_order(paths: Iterable[str]) -> list[str]:
    """Sort paths so that each module comes right before its inside, siblings as they come."""
    place: dict[str, int] = {}
    for path in paths:
        for module in ancestors(path):
            place.setdefault(module, len(place))
    return sorted(place, key=lambda path: [place[module] for module in ancestors(path)])
