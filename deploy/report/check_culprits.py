"""Why a comparison failed, in sentences."""

from __future__ import annotations

from groundspeed.deploy.gate.culprits import Culprits, Moved
from groundspeed.deploy.report.text import ms, short

SHOWN = 5


def sentences(found: Culprits) -> list[str]:
    """Return what changed, and the modules where most of the time went."""
    if not found.changed:
        lines = ["nothing that made the files is known to differ, and yet they do"]
    elif len(found.changed) == 1:
        lines = [f"only {found.changed[0]} changed, so that is to blame"]
    else:
        lines = [
            f"{' and '.join(found.changed)} changed together; name the old commit as the baseline, "
            "so that both are exported by the tools of today, to tell them apart"
        ]
    if found.problem:
        return [*lines, found.problem]
    if not found.moved:
        return [*lines, "no module is slower beyond doubt in the profiles of both files"]
    lines.append(f"attributed time changed by {_signed(found.slower_ns)} ms, of it")
    return lines + [_line(one) for one in found.moved[:SHOWN]]


def _line(one: Moved) -> str:
    low, high = _signed(one.difference.low_ns), _signed(one.difference.high_ns)
    name = one.module or "no module"
    where = f"{name} ({short(one.line)})" if one.line else name
    was = ms(one.old_ns) if one.old_ns else "nothing"
    now = ms(one.new_ns) if one.new_ns else "nothing"
    return f"{_signed(one.difference.ns)} [{low}, {high}] ms in {where}: {was} → {now}"


def _signed(ns: float) -> str:
    return f"{'+' if ns >= 0 else '-'}{ms(abs(ns))}"
