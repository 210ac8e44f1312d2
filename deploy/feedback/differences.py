"""What one file takes longer than another, from launches in rounds.

A round gives one difference, between the medians of two launches that saw the same machine; an
interval comes from the differences of all rounds. It is Student's t: as the order within a round is
drawn, whatever disturbs a launch falls on either side alike, so that differences are symmetric
where there is nothing to be seen.
"""

from __future__ import annotations

import statistics

import numpy as np

from groundspeed.deploy.feedback.breakdown import Time
from groundspeed.deploy.results import CellResult
from groundspeed.deploy.statistics import CONFIDENCE, t_interval


def by_rounds(before: CellResult, after: CellResult) -> list[float]:
    """Return before minus after in nanoseconds, for each round in which both have a result."""
    one, two = _medians(before), _medians(after)
    return [one[round] - two[round] for round in sorted(one.keys() & two.keys())]


def mean_difference(differences_ns: list[float], *, comparisons: int, times: int = 1) -> Time:
    """Return the mean of rounds' differences with its interval.

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
    low, high = t_interval(values, 1 - (1 - CONFIDENCE) / comparisons)
    return Time(ns=float(np.mean(values)), low_ns=low, high_ns=high)


def _medians(cell: CellResult) -> dict[int, float]:
    """Return round -> median of the launch, where there is a result."""
    return {
        one.round: statistics.median(one.launch.samples_ns)
        for one in cell.stored
        if one.action == "measure" and one.launch is not None
    }
