"""What one file takes longer than another, from launches in rounds.

A round gives one difference, between the medians of two launches that saw the same machine, and the
interval comes from the differences of all rounds. It is Student's t: as the order within a round is
drawn, whatever disturbs a launch falls on either side alike, so that differences are symmetric
where there is nothing to be seen. What disturbs a busy machine comes seldom and is large, so from
ten rounds on the extremes are left out, a tenth of the rounds at either end.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.feedback.breakdown import Time
from groundspeed.deploy.results import CellResult
from groundspeed.deploy.statistics import CONFIDENCE

# A share of 20 % is more usual, and too much for few rounds: from 8 normal differences, such
# intervals hold the mean in 94 % of simulations.
TRIMMED = 0.1


def by_rounds(before: CellResult, after: CellResult) -> list[float]:
    """Return before minus after in nanoseconds, for each round in which both have a result."""
    one, two = before.medians_ns, after.medians_ns
    return [one[round] - two[round] for round in sorted(one.keys() & two.keys())]


def mean_difference(differences_ns: list[float], *, comparisons: int, times: int = 1) -> Time:
    """Return the trimmed mean of rounds' differences with its interval.

    Whoever compares twenty times finds one difference that is significant by chance. So intervals
    are simultaneous ones, by Bonferroni's inequality: each of m has the confidence 1 - 0.05 / m,
    and 95 % of such families hold all of their true differences (O. J. Dunn, "Multiple Comparisons
    Among Means", Journal of the American Statistical Association 56, 1961).

    Args:
        differences_ns: of two or more rounds.
        comparisons: how many differences are shown together.
        times: what the difference is divided by.
    """
    values = np.asarray(differences_ns) / times
    mean, reach = _trimmed(values, 1 - (1 - CONFIDENCE) / comparisons)
    return Time(ns=mean, low_ns=mean - reach, high_ns=mean + reach)


def _trimmed(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Return the trimmed mean of values, and how far its interval reaches to either side.

    The error is that of the winsorized values (K. K. Yuen, "The Two-Sample Trimmed t for Unequal
    Population Variances", Biometrika 61, 1974, for one sample). Without trimming it is Student's.
    """
    # The special function alone: scipy.stats takes ten times as long to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    count, ends = len(values), int(TRIMMED * len(values))
    ordered = np.sort(values)
    kept = ordered[ends : count - ends]
    squares = (count - 1) * float(np.var(np.clip(values, kept[0], kept[-1]), ddof=1))
    error = math.sqrt(squares / (len(kept) * (len(kept) - 1)))
    return float(np.mean(kept)), float(stdtrit(len(kept) - 1, (1 + confidence) / 2)) * error
