"""Why a comparison failed, in sentences."""

from __future__ import annotations

import math

from groundspeed.deploy.gate.culprits import Culprits, Moved
from groundspeed.deploy.gate.split import Effect, Split
from groundspeed.deploy.report.text import ms, short

SHOWN = 5


def sentences(found: Culprits) -> list[str]:
    """Return what changed, and the modules where most of the time went."""
    if not found.changed:
        lines = ["nothing that made the files is known to differ, and yet they do"]
    elif len(found.changed) == 1:
        lines = [f"only {found.changed[0]} changed, so that is to blame"]
    else:
        lines = [f"{' and '.join(found.changed)} changed together", *_apart(found.split)]
    if found.problem:
        return [*lines, found.problem]
    if not found.moved:
        return [*lines, "no module is slower beyond doubt in the profiles of both files"]
    lines.append(f"attributed time changed by {_signed(found.slower_ns)} ms, of it")
    return lines + [_line(one) for one in found.moved[:SHOWN]]


def _apart(split: Split | None) -> list[str]:
    """Return what each of several changes did."""
    if split is None:
        return []
    lines = [f"{_percent(one)}: {one.factor}" for one in split.effects]
    if lines:
        lines[:0] = [
            f"each by itself, from {split.combinations} combinations of old and new, side by side "
            f"in {split.rounds} rounds"
        ]
    return lines + [f"a combination is missing: {reason}" for reason in split.missing]


def _percent(effect: Effect) -> str:
    middle, low, high = (
        f"{100 * math.expm1(one):+.1f}" for one in (effect.estimate, effect.low, effect.high)
    )
    return f"{middle} % [{low}, {high}]"


def _line(one: Moved) -> str:
    low, high = _signed(one.difference.low_ns), _signed(one.difference.high_ns)
    name = one.module or "no module"
    where = f"{name} ({short(one.line)})" if one.line else name
    was = ms(one.old_ns) if one.old_ns else "nothing"
    now = ms(one.new_ns) if one.new_ns else "nothing"
    return f"{_signed(one.difference.ns)} [{low}, {high}] ms in {where}: {was} → {now}"


def _signed(ns: float) -> str:
    return f"{'+' if ns >= 0 else '-'}{ms(abs(ns))}"
