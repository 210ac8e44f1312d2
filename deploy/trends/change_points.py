"""Where a series of latencies changed its level.

A history is a trend monitor, no gate: it sees a small step only some runs after it happened, and
what it compares was not measured side by side. Segments are found by PELT (R. Killick, P. Fearnhead
and I. A. Eckley, JASA 107, 2012) with absolute deviations from medians as the cost, which a few
outliers do not move, on logarithms over their own scatter. Each step that is found is then tested
by itself (Mann and Whitney) and sized (J. L. Hodges and E. L. Lehmann, 1963).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 5  # values on either side of a step
# Of each further segment, in units of scatter: fewer than one in fifty series of 200 values without
# a change show one, and a lower one finds no more steps (150 simulated series of each kind).
PENALTY = 9.0
LEVEL = 0.005  # of a step's own test
_LEAST_SCATTER = 1e-4  # of logarithms: clocks resolve no less

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A change of level.

    Attributes:
        index: of the first value after it.
        ratio: level after over level before.
        low, high: 95 % limits of the ratio.
    """

    index: int
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Trend:
    """What a series did.

    Attributes:
        steps: in order; none for a series that drifts.
        drift: last level over first, when a straight line describes the series better than its
            steps; None otherwise.
    """

    steps: tuple[Step, ...] = ()
    drift: float | None = None


def trend(values: Sequence[float]) -> Trend:
    """Return what a series did.

    Args:
        values: above 0, in order of time.

    Raises:
        ModuleNotFoundError: the package that finds segments is not installed.
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    if len(logs) < 2 * LEAST:
        return Trend()
    edges = [0, *_edges(logs), len(logs)]
    steps = [
        _step(logs[before:at], logs[at:after], at)
        for before, at, after in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    found = tuple(step for step in steps if step is not None)
    if found and (drift := _drift(logs, edges)) is not None:
        return Trend(drift=drift)
    return Trend(steps=found)


def _edges(logs: Floats) -> list[int]:
    import ruptures  # type: ignore[import-untyped]

    search = ruptures.Pelt(model="l1", min_size=LEAST, jump=1)
    found: list[int] = search.fit(logs / _scatter(logs)).predict(pen=PENALTY)
    return found[:-1]


def _scatter(logs: Floats) -> float:
    """Return the scatter of single values: from their differences, so that steps do not count."""
    differences = np.diff(logs)
    middle = float(np.median(np.abs(differences - np.median(differences))))
    return max(1.4826 * middle / math.sqrt(2), _LEAST_SCATTER)


def _step(before: Floats, after: Floats, index: int) -> Step | None:
    # Imported here: the statistics of scipy take a second to import.
    from scipy.stats import mannwhitneyu, norm  # type: ignore[import-untyped]

    if mannwhitneyu(before, after).pvalue > LEVEL:
        return None
    differences = np.sort((after[:, None] - before[None, :]).ravel())
    many, few = len(differences), len(before) + len(after)
    reach = norm.ppf(0.975) * math.sqrt(many * (few + 1) / 12)
    lowest = max(0, math.floor(many / 2 - reach))
    return Step(
        index=index,
        ratio=math.exp(float(np.median(differences))),
        low=math.exp(float(differences[lowest])),
        high=math.exp(float(differences[many - 1 - lowest])),
    )


def _drift(logs: Floats, edges: Sequence[int]) -> float | None:
    """Return the whole change of a series along a line, where that describes it better.

    By Schwarz's criterion (1978) for errors after Laplace: each step beyond the first takes two
    numbers more than a line has.
    """
    from scipy.stats import theilslopes

    many, times = len(logs), np.arange(len(logs))
    slope, intercept, *_ = theilslopes(logs, times)
    line = float(np.abs(logs - intercept - slope * times).sum())
    parts = [logs[start:end] for start, end in itertools.pairwise(edges)]
    steps = sum(float(np.abs(part - np.median(part)).sum()) for part in parts)
    more = 2 * (len(parts) - 2)
    if line > steps * math.exp(more * math.log(many) / many):
        return None
    return math.exp(slope * (many - 1))
