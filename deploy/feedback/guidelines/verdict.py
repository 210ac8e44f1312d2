"""Whether a guideline holds, from launches in rounds.

In each round every variant was launched once. Each round gives one *trend*: the slope of the
logarithm of the time per MAC against the steps that a variant goes against the guideline, by least
squares. From the trends of all rounds comes one interval, Student's t, and it decides:

* the whole interval above ``NEGLIGIBLE``: a step costs time, the guideline holds;
* the whole interval below: it costs nothing worth building otherwise, the guideline does not hold;
* else, or from fewer than ``LEAST_ROUNDS``: inconclusive; more rounds may tell.

Time per MAC, because the networks of one table have only about equal MACs. Variants that are
faster than what a guideline recommends, by more than that and beyond doubt, are its exceptions: a
trend may hold while one step of it does not. All intervals that are shown together are simultaneous
ones, by Bonferroni's inequality (O. J. Dunn, "Multiple Comparisons Among Means", Journal of the
American Statistical Association 56, 1961).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.statistics import CONFIDENCE, t_interval

NEGLIGIBLE = 0.01  # of the time, for one step
LEAST_ROUNDS = 5

Floats = NDArray[np.float64]


class Verdict(enum.StrEnum):
    """What a device says to a guideline."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A ratio, and where it may lie.

    Attributes:
        value: the geometric mean over rounds.
        low, high: ends of its simultaneous interval; None from a single round.
    """

    value: float
    low: float | None
    high: float | None


def ratio(logarithms: Sequence[float] | Floats, comparisons: int) -> Estimate:
    """Return the ratio whose logarithm was seen in each round.

    Args:
        logarithms: one for each round.
        comparisons: how many intervals are shown together.
    """
    value = math.exp(float(np.mean(logarithms)))
    if len(logarithms) < 2:
        return Estimate(value=value, low=None, high=None)
    low, high = t_interval(logarithms, 1 - (1 - CONFIDENCE) / comparisons)
    return Estimate(value=value, low=math.exp(low), high=math.exp(high))


def trends(logarithms: Floats, steps: Sequence[float]) -> Floats:
    """Return the slope against the steps in each round, by least squares.

    Args:
        logarithms: [rounds, variants].
        steps: of each variant, at least two different ones.
    """
    centred = np.asarray(steps, float) - np.mean(steps)
    slopes: Floats = logarithms @ centred / (centred @ centred)
    return slopes


def judge(trend: Estimate, rounds: int) -> Verdict:
    """Return the verdict on a guideline.

    Args:
        trend: how many times as long a step takes.
        rounds: how many it rests on.
    """
    if rounds < LEAST_ROUNDS or trend.low is None or trend.high is None:
        return Verdict.INCONCLUSIVE
    if trend.low > 1 + NEGLIGIBLE:
        return Verdict.HOLDS
    if trend.high < 1 + NEGLIGIBLE:
        return Verdict.DOES_NOT_HOLD
    return Verdict.INCONCLUSIVE


def is_exception(speed: Estimate, rounds: int) -> bool:
    """Return whether a variant is faster than the recommended one beyond doubt.

    Args:
        speed: its speed per MAC over that of the recommended variant.
        rounds: how many it rests on.
    """
    return rounds >= LEAST_ROUNDS and speed.low is not None and speed.low > 1 + NEGLIGIBLE
