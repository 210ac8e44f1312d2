"""Many comparisons, on one device or several, and the one verdict on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundspeed.deploy.gate.comparing import Comparison, slowdown_level
from groundspeed.deploy.gate.decision import Rules, Verdict, holm, judge, overall


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a gate says.

    Attributes:
        comparisons: with their final verdicts.
        missing: what is judged and has no baseline, as people call it.
        rules: how it was judged.
    """

    comparisons: tuple[Comparison, ...]
    missing: tuple[str, ...]
    rules: Rules

    @property
    def verdict(self) -> Verdict:
        """The worst of all; what has no baseline is not shown to be as fast as before."""
        verdicts = [one.verdict for one in self.comparisons]
        return overall(verdicts + [Verdict.INCONCLUSIVE for _ in self.missing])


def gather(
    comparisons: Sequence[Comparison], rules: Rules, *, missing: Sequence[str] = ()
) -> Judged:
    """Return the verdict on a family of comparisons.

    Each was judged with its part of the level. Once one slowdown is shown, the others share the
    level among fewer (Holm), which may show one more.
    """
    levels = [slowdown_level(one, rules) for one in comparisons]
    shown = holm(levels, rules.level)
    final = [
        replace(one, verdict=judge(one.evidence, rules.margin, is_slower=True))
        if slower and one.evidence is not None and one.verdict is Verdict.INCONCLUSIVE
        else one
        for one, slower in zip(comparisons, shown, strict=True)
    ]
    return Judged(comparisons=tuple(final), missing=tuple(missing), rules=rules)
