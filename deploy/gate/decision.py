"""From evidence to a verdict, for one comparison and for a family of them."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.deploy.gate.e_process import EProcess
from groundspeed.deploy.gate.evidence import Evidence, SequentialTest
from groundspeed.deploy.gate.group_sequential import GroupSequential


class Verdict(enum.StrEnum):
    """What a comparison comes to.

    ``PASS``: a slowdown of the margin or more is excluded. ``FAIL``: it is not, and that the
    candidate is slower is shown. ``INCONCLUSIVE``: neither.
    """

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a gate judges.

    Attributes:
        margin: the slowdown that must not pass, as a share: 0.03 is 3 %.
        level: how often a gate may fail, in the long run, when nothing became slower in any of its
            comparisons; and how often a slowdown of the margin may pass, in each.
        pairs: pairs of launches of each comparison at most.
        strict: whether to judge by the e-process instead of Student's t.
    """

    margin: float = 0.03
    level: float = 0.01
    pairs: int = 40
    strict: bool = False


def sequential_test(rules: Rules) -> SequentialTest:
    """Return the way to judge pairs that rules ask for."""
    return EProcess() if rules.strict else GroupSequential()


def judge(evidence: Evidence, margin: float, *, is_slower: bool | None = None) -> Verdict:
    """Return the verdict on one comparison.

    Args:
        evidence: what its pairs say.
        margin: the slowdown that must not pass.
        is_slower: whether a slowdown is shown; by default what the evidence alone says. In a
            family, the others have a say in it.
    """
    if evidence.high < math.log1p(margin):
        return Verdict.PASS
    shown = evidence.low > 0.0 if is_slower is None else is_slower
    return Verdict.FAIL if shown else Verdict.INCONCLUSIVE


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on all: the worst; of none at all, inconclusive."""
    if not verdicts or Verdict.FAIL in verdicts:
        return Verdict.FAIL if verdicts else Verdict.INCONCLUSIVE
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS


def holm(levels: Sequence[float], level: float) -> list[bool]:
    """Return which of a family's claims hold together, by their p-values.

    All of them are true in all but ``level`` of families (S. Holm, "A Simple Sequentially Rejective
    Multiple SequentialTest Procedure", Scandinavian Journal of Statistics 6, 1979).
    """
    holds = [False] * len(levels)
    for rank, place in enumerate(sorted(range(len(levels)), key=lambda place: levels[place])):
        if levels[place] > level / (len(levels) - rank):
            break
        holds[place] = True
    return holds


def pairs_needed(smallest: float, pairs: int, margin: float) -> int:
    """Return about how many pairs would show a slowdown of the margin in 95 % of trials.

    Errors shrink with the root of the number of pairs.

    Args:
        smallest: change (as a logarithm) that ``pairs`` pairs show so often.
        pairs: see there.
        margin: the slowdown that must not pass.
    """
    return math.ceil(pairs * (smallest / math.log1p(margin)) ** 2)
