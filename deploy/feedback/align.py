"""Who is charged for the time of an executed op: which ops and modules of the user's network.

A runtime fuses, splits, reorders and inserts ops; what each executed op stands for is decided in
:mod:`groundspeed.deploy.feedback.joining`. An executed op is *tied* when

* it computes ops of the network, alone or together with others, or
* it only moves or converts a value (a change of layout, a reorder, a quantization) and that value
  is known: then it is charged to the op that computed the value; where it moves an input of the
  network, to the op that reads it.

What is neither (a copy of nobody knows what) is not tied. It is shown between its neighbours, and
the coverage of a profile counts its time as missing. The stages of a runtime's own run, of which
LiteRT tells the times, are no ops: they are shown with the whole network, and coverage leaves them
out, as it leaves out what other runtimes do between ops and tell nobody. Times are not touched by
any rule: they belong to executed ops, and the rules only decide under which name they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.joining import Joining
from groundspeed.deploy.vocabulary import sort_of, word_of
from groundspeed.measurement import OpProfile, ProfiledOp
from groundspeed.ops import Op, OpKind


@dataclass(frozen=True, kw_only=True)
class AttributedOp:
    """An executed op with what it stands for in the network.

    Attributes:
        executed: the op as the runtime named it.
        covers: canonical ops that it computes, in order; empty when it was inserted or not tied.
        part: whether it computes a part of what it covers (the sigmoid of a SiLU); another executed
            op covers the same and bears its arithmetic, so that sums stay right.
        moves: the canonical op whose value it only moves or converts, or, for an input of the
            network, the op that reads it; None when it computes, or when the value is not known.
        by_value: whether the values of its outputs tell what it stands for; else the flow of data
            and its word do.
        kind: kind of the main op; without one, what the engine's word says.
        module: path of the main op's module, or of that of the value that it moves; for an op that
            is not tied, the innermost module that holds both of its tied neighbours; "" for a
            stage of the runtime's own run.
        line: ``file:line`` in the user's source, "" when unknown.
        inserted: whether no op of the network stands behind it, only moved data.
        times_ns: its duration in each profiled run.
        macs: multiply-accumulates of all that it covers; 0 for a part.
        flops: floating-point operations of all that it covers; 0 for a part.
        memory_bytes: memory access cost of the main op; 0 for a part. What is fused to it works in
            registers; only a second input, such as the other side of a fused addition, is missed.
    """

    executed: ProfiledOp
    covers: tuple[Op, ...]
    part: bool = False
    moves: Op | None = None
    by_value: bool = False
    kind: OpKind
    module: str
    line: str
    inserted: bool
    times_ns: tuple[int, ...]
    macs: int
    flops: int
    memory_bytes: int

    @property
    def main(self) -> Op | None:
        """The op that it is shown under: of what it covers the heaviest, if its word fits that."""
        return main_op(self.covers, word_of(self.executed))

    @property
    def tied(self) -> bool:
        """Whether it is known what it stands for in the network."""
        return bool(self.covers) or self.moves is not None


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The executed ops of a profile with what they stand for, and what none stands for.

    Attributes:
        ops: executed ops in order of execution.
        uncharged: canonical ops with MACs for which no executed op was found.
        vanished: all other canonical ops without an executed op: they cost nothing on paper, or
            nothing is known of what surrounds them.
    """

    ops: tuple[AttributedOp, ...]
    uncharged: tuple[Op, ...]
    vanished: tuple[Op, ...] = ()


def attribute(manifest: Manifest, profile: OpProfile) -> Attribution:
    """Join the ops that a runtime executed with the ops of the network that it executed."""
    joining = Joining(manifest, profile.ops)
    found = [
        _charge(joining, manifest.ops, position, word_of(executed))
        for position, executed in enumerate(profile.ops)
    ]
    modules = _modules(profile.ops, [charge.op for charge in found])
    left = [op for place, op in enumerate(manifest.ops) if place not in joining.owners]
    return Attribution(
        ops=tuple(
            _attributed(executed, charge, module, times)
            for executed, charge, module, times in zip(
                profile.ops, found, modules, profile.times_ns, strict=True
            )
        ),
        uncharged=tuple(op for op in left if op.macs),
        vanished=tuple(op for op in left if not op.macs),
    )


@dataclass(frozen=True, kw_only=True)
class _Charge:
    """What an executed op is charged to.

    Attributes:
        covers, part, main, moves, by_value: as on :class:`AttributedOp`.
        asked: whether the network itself asks for this data to be moved.
    """

    covers: tuple[Op, ...]
    part: bool
    main: Op | None
    moves: Op | None
    by_value: bool
    asked: bool

    @property
    def op(self) -> Op | None:
        """The op that it is shown under."""
        return self.main or self.moves


def _charge(joining: Joining, ops: Sequence[Op], position: int, word: OpKind) -> _Charge:
    owned, helped = joining.owned[position], joining.helped.get(position)
    part = not owned and helped is not None
    covers = tuple(ops[place] for place in ([helped] if part and helped is not None else owned))
    moved = None if covers or not joining.moves(position) else joining.value(position)
    ties = joining.ties[position]
    return _Charge(
        covers=covers,
        part=part,
        main=main_op(covers, word),
        moves=None if moved is None else ops[moved],
        by_value=bool(ties),
        asked=bool(ties) and ops[ties[-1]].kind is OpKind.DATA_MOVEMENT,
    )


def main_op(covers: Sequence[Op], word: OpKind) -> Op | None:
    """Return the heaviest of some ops: most MACs, then FLOPs, then bytes; None of none.

    Args:
        covers: the ops.
        word: what the engine calls the op that computes them; where it fits some, one of those.
    """
    alike = [op for op in covers if sort_of(op.kind) is sort_of(word)]
    weight = attrgetter("macs", "flops", "memory_bytes")
    return max(alike or covers, key=weight, default=None)


def _modules(executed: Sequence[ProfiledOp], shown: Sequence[Op | None]) -> list[str]:
    """Return the module of each executed op, from its neighbours where it has none of its own."""
    known = [
        op.module if op is not None else "" if ran.stage else None
        for ran, op in zip(executed, shown, strict=True)
    ]
    modules = []
    for i, module in enumerate(known):
        if module is None:
            before = next((m for m in reversed(known[:i]) if m is not None), None)
            after = next((m for m in known[i + 1 :] if m is not None), before)
            module = common_module(before if before is not None else after or "", after or "")
        modules.append(module)
    return modules


def common_module(one: str, other: str) -> str:
    """Return the path of the innermost module that holds both: "a.b.c", "a.b.d" -> "a.b"."""
    shared = []
    for left, right in zip(one.split("."), other.split("."), strict=False):
        if left != right:
            break
        shared.append(left)
    return ".".join(shared)


def _attributed(
    executed: ProfiledOp, charge: _Charge, module: str, times_ns: tuple[int, ...]
) -> AttributedOp:
    main = charge.main
    word = OpKind.OTHER if executed.stage else word_of(executed)
    added = executed.inserted and not executed.stage
    moved = word is OpKind.DATA_MOVEMENT or (added and word is not OpKind.QUANTIZE)
    borne = () if charge.part else charge.covers
    return AttributedOp(
        executed=executed,
        covers=charge.covers,
        part=charge.part,
        moves=charge.moves,
        by_value=charge.by_value,
        kind=main.kind if main else OpKind.DATA_MOVEMENT if moved else word,
        module=module,
        line=charge.op.line if charge.op else "",
        inserted=moved and not charge.covers and not charge.asked,
        times_ns=times_ns,
        macs=sum(op.macs for op in borne),
        flops=sum(op.flops for op in borne),
        memory_bytes=main.memory_bytes if main and borne else 0,
    )
