"""Who is charged for the time of an executed op: which ops and modules of the user's network.

A runtime fuses, splits, reorders and inserts ops. Export tied the tensors of the file to the
canonical ops that compute the same values; here the ops that a runtime executed are joined with
those. What an executed op *covers*:

1. The canonical op that its output tensor is tied to. Moving data keeps its values, so several
   executed ops may be tied to one canonical op: the first that computes covers it.
2. Canonical ops that no executed op is tied to were fused into one. An op with MACs goes to the
   next executed op, in canonical order, that can multiply and has no such op yet. An activation, an
   addition or the like goes to the fused op that ends its chain, else to the multiplying op that
   it follows (a runtime may keep the convolution's name for both). Any other op goes to the next
   executed op.

The second rule stands in for data flow, which the manifest does not hold. It can err where branches
are written one after the other and both end in a fused op: a light op (an activation, an addition)
may be charged to the neighbouring branch. Times are not touched by any rule: they belong
to executed ops, and the rules only decide under which name they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.artifact import Manifest
from groundspeed.deploy.vocabulary import WITH_MACS, kind_of
from groundspeed.measurement import OpProfile, ProfiledOp
from groundspeed.ops import Op, OpKind

# What a runtime computes on the values that a convolution or a linear layer has just made.
_FOLLOWS = frozenset({OpKind.ACTIVATION, OpKind.ELEMENTWISE, OpKind.NORMALIZATION})


@dataclass(frozen=True, kw_only=True)
class AttributedOp:
    """An executed op with what it stands for in the network.

    Attributes:
        executed: the op as the runtime named it.
        covers: canonical ops that it computes, in order; empty when it was inserted or not tied.
        kind: kind of the main op (the heaviest that it covers: most MACs, then FLOPs, then
            bytes); without one, what the engine's word says.
        module: path of the main op's module; for an op that is not tied, the innermost module
            that holds both of its tied neighbours.
        line: ``file:line`` in the user's source, "" when unknown.
        inserted: whether no op of the network stands behind it, only moved data.
        times_ns: its duration in each profiled run.
        macs: multiply-accumulates of all that it covers.
        flops: floating-point operations of all that it covers.
        memory_bytes: memory access cost of the main op. What is fused to it works in registers;
            only a second input, such as the other side of a fused addition, is missed.
    """

    executed: ProfiledOp
    covers: tuple[Op, ...]
    kind: OpKind
    module: str
    line: str
    inserted: bool
    times_ns: tuple[int, ...]
    macs: int
    flops: int
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The executed ops of a profile with what they stand for, and what none stands for.

    Attributes:
        ops: executed ops in order of execution.
        uncharged: canonical ops with MACs for which no executed op was found.
    """

    ops: tuple[AttributedOp, ...]
    uncharged: tuple[Op, ...]


def attribute(manifest: Manifest, profile: OpProfile) -> Attribution:
    """Join the ops that a runtime executed with the ops of the network that it executed."""
    executed = profile.ops
    tied = _tie(manifest, executed)
    owners = _owners(manifest.ops, executed, tied)
    covers: list[list[Op]] = [[] for _ in executed]
    for op, owner in zip(manifest.ops, owners, strict=True):
        if owner is not None:
            covers[owner].append(op)
    modules = _modules(tied, covers)
    return Attribution(
        ops=tuple(
            _attributed(op, tied[i], tuple(covers[i]), modules[i], profile.times_ns[i])
            for i, op in enumerate(executed)
        ),
        uncharged=tuple(
            op for op, owner in zip(manifest.ops, owners, strict=True) if owner is None and op.macs
        ),
    )


def _tie(manifest: Manifest, executed: Sequence[ProfiledOp]) -> list[Op | None]:
    """Return for each executed op the canonical op with the values of its last tied output."""
    by_name = {op.name: op for op in manifest.ops}
    tensors = manifest.tensors or {}
    names = [[tensors[name] for name in op.outputs if name in tensors] for op in executed]
    return [by_name.get(tied[-1]) if tied else None for tied in names]


def _owners(
    canonical: Sequence[Op], executed: Sequence[ProfiledOp], tied: Sequence[Op | None]
) -> list[int | None]:
    """Return for each canonical op the index of the executed op that covers it."""
    computes: dict[str, int] = {}
    for i, op in enumerate(tied):
        if op is not None and (op.kind is OpKind.DATA_MOVEMENT or not _only_moves(executed[i])):
            computes.setdefault(op.name, i)
    direct = [computes.get(op.name) for op in canonical]
    owners = list(direct)
    multiplying = {i for op, i in zip(canonical, direct, strict=True) if i is not None and op.macs}
    for place, op in enumerate(canonical):
        if direct[place] is not None:
            continue
        later = [i for i in direct[place + 1 :] if i is not None]
        if op.macs:
            later = [i for i in later if i not in multiplying and _can_multiply(executed[i])]
            multiplying.update(later[:1])
        elif op.kind in _FOLLOWS:
            chain = _chain_end(canonical, direct, place)
            before = owners[place - 1] if place else None
            later = [i for i in (chain, before) if i is not None and i in multiplying] + later
        if not later and not op.macs:
            later = [i for i in reversed(direct[:place]) if i is not None]
        owners[place] = later[0] if later else None
    return owners


def _chain_end(canonical: Sequence[Op], direct: Sequence[int | None], place: int) -> int | None:
    """Return the executed op that is tied to the end of a chain of light ops."""
    for op, owner in zip(canonical[place + 1 :], direct[place + 1 :], strict=True):
        if op.kind not in _FOLLOWS:
            return None
        if owner is not None:
            return owner
    return None


def _only_moves(op: ProfiledOp) -> bool:
    return op.inserted or kind_of(op.type) is OpKind.DATA_MOVEMENT


def _can_multiply(op: ProfiledOp) -> bool:
    return kind_of(op.type) in WITH_MACS or kind_of(op.type) is OpKind.OTHER


def _main(covers: Sequence[Op]) -> Op | None:
    return max(covers, key=lambda op: (op.macs, op.flops, op.memory_bytes), default=None)


def _modules(tied: Sequence[Op | None], covers: Sequence[Sequence[Op]]) -> list[str]:
    """Return the module of each executed op, from its neighbours where it has none of its own."""
    known = [
        main.module if (main := _main(c) or t) else None for c, t in zip(covers, tied, strict=True)
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
    executed: ProfiledOp,
    tied: Op | None,
    covers: tuple[Op, ...],
    module: str,
    times_ns: tuple[int, ...],
) -> AttributedOp:
    main = _main(covers)
    moves = _only_moves(executed)
    if main is not None:
        kind = main.kind
    elif moves or tied is None:
        kind = OpKind.DATA_MOVEMENT if moves else kind_of(executed.type)
    else:
        kind = tied.kind
    moved_by_the_network = tied is not None and tied.kind is OpKind.DATA_MOVEMENT
    return AttributedOp(
        executed=executed,
        covers=covers,
        kind=kind,
        module=module,
        line=main.line if main else tied.line if tied else "",
        inserted=moves and not covers and not moved_by_the_network,
        times_ns=times_ns,
        macs=sum(op.macs for op in covers),
        flops=sum(op.flops for op in covers),
        memory_bytes=main.memory_bytes if main else 0,
    )
