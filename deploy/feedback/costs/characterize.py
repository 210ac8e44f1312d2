"""Networks that a device is known by, and what they say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.gather import Setting
from groundspeed.deploy.feedback.costs.model import CostModel
from groundspeed.deploy.feedback.costs.prediction import LeftOut, leave_out
from groundspeed.models import zoo
from groundspeed.ops import Op, OpKind

# The zoo, but for second readings of a network ("paper"): they would hardly add an op, and make
# errors of networks left out look smaller than they are.
NETWORKS = tuple(name for name in zoo.names() if not name.endswith("_paper"))
# What the best tenth of the ops of a kind reach: the very best is a matter of luck.
_BEST = 0.9


@dataclass(frozen=True, kw_only=True)
class KindCosts:
    """What ops of one kind cost on a device.

    Attributes:
        kind: of the ops.
        ops: how many of them took time of their own, if only to have their values converted.
        fused: how many did not.
        fixed_ns: what one costs however small it is, by the law that fits them best.
        flops_per_s, bytes_per_s: what the best tenth of them reach, with the arithmetic and the
            memory access cost on paper; None where they have none.
    """

    kind: OpKind
    ops: int
    fused: int
    fixed_ns: float
    flops_per_s: float | None
    bytes_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What is known of a device in one runtime, precision and number of threads.

    Attributes:
        setting: which.
        kinds: what ops cost, the kind with the most time first.
        flops_per_s, bytes_per_s: the device's roofline as far as it shows in these networks: the
            highest rates of any kind. What lies in a cache is read faster than from memory.
        left_out: how each network was predicted by the others; empty with fewer than two.
        strangers: the same without the microbenchmarks of ops that no other network has.
    """

    setting: Setting
    kinds: tuple[KindCosts, ...]
    flops_per_s: float | None
    bytes_per_s: float | None
    left_out: tuple[LeftOut, ...]
    strangers: tuple[LeftOut, ...]


def learned(known: Mapping[Setting, Sequence[Example]]) -> tuple[Learned, ...]:
    """Return what profiled networks say of their device."""
    return tuple(_learned(setting, examples) for setting, examples in known.items())


def _learned(setting: Setting, examples: Sequence[Example]) -> Learned:
    kinds = kind_costs(examples)
    several = sum(not one.is_patchwork for one in examples) > 1
    return Learned(
        setting=setting,
        kinds=kinds,
        flops_per_s=max((row.flops_per_s for row in kinds if row.flops_per_s), default=None),
        bytes_per_s=max((row.bytes_per_s for row in kinds if row.bytes_per_s), default=None),
        left_out=leave_out(examples) if several else (),
        strangers=leave_out(examples, with_ops=True) if several else (),
    )


def kind_costs(examples: Sequence[Example]) -> tuple[KindCosts, ...]:
    """Return what each kind of op costs, the kind with the most time first."""
    model = CostModel(examples)
    times: dict[OpKind, list[tuple[Op, float]]] = defaultdict(list)
    for one in examples:
        for op, time in zip(one.ops, one.times_ns, strict=True):
            if op.memory_bytes:
                times[op.kind].append((op, time))
    ranked = sorted(times, key=lambda kind: -sum(time for _, time in times[kind]))
    return tuple(_costs(kind, times[kind], model) for kind in ranked)


def _costs(kind: OpKind, members: Sequence[tuple[Op, float]], model: CostModel) -> KindCosts:
    own = [(op, time) for op, time in members if time > 0]
    return KindCosts(
        kind=kind,
        ops=len(own),
        fused=len(members) - len(own),
        fixed_ns=model.fixed_ns(kind),
        flops_per_s=_best([op.flops / time * 1e9 for op, time in own if op.flops]),
        bytes_per_s=_best([op.memory_bytes / time * 1e9 for op, time in own]),
    )


def _best(rates: Sequence[float]) -> float | None:
    return float(np.quantile(rates, _BEST)) if rates else None
