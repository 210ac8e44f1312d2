"""Many comparisons, on one device or several, and the one verdict on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundspeed.deploy.gate.budgets import Budget, spend
from groundspeed.deploy.gate.comparing import Comparison, slowdown_level
from groundspeed.deploy.gate.decision import Rules, Verdict, holm, judge, overall
from groundspeed.deploy.store.store import Store


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
        """The worst of all, budgets too; what has no baseline is not shown to be as fast."""
        verdicts = [one.verdict for one in self.comparisons]
        verdicts += [spent.verdict for one in self.comparisons for spent in one.spent]
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


def held_to(comparison: Comparison, budget: Budget, store: Store, rules: Rules) -> Comparison:
    """Return a comparison with how its candidate stands to a budget.

    A file that is its own baseline and was launched for the budget alone did not become slower.
    """
    artifact = comparison.contest.candidate
    result = comparison.result
    spent = spend(
        budget,
        artifact,
        result.cells[1].launches if result else (),
        store.newest_evaluation(artifact.id),
        level=rules.level,
    )
    is_same = comparison.contest.is_same
    return replace(
        comparison,
        verdict=Verdict.PASS if is_same else comparison.verdict,
        is_faster=comparison.is_faster and not is_same,
        spent=tuple(spent),
    )
