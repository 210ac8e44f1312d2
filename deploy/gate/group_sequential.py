"""The default: Student's t on pairs at a few looks, the level spent over them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from groundspeed.deploy.gate.boundaries import nominal_levels
from groundspeed.deploy.gate.evidence import Evidence

# Boundaries are those of normal sums; of Student's t from ten pairs on, up to 1.1 times as many
# lie beyond them (200,000 simulated comparisons). So that a level is what it says, less is spent.
_T_SPENDS = 1.1

_POWER = 0.95
_SHARES = (0.25, 0.4, 0.6, 0.8, 1.0)  # of the pairs that there can be, at which it looks
_LEAST = 5  # pairs: from fewer, a deviation means nothing


class GroupSequential:
    """Looks at the mean of the pairs' logarithms five times, with Student's t.

    Its confidence limits are repeated ones, which hold at all looks together (C. Jennison and B. W.
    Turnbull, "Interim Analyses: The Repeated Confidence Interval Approach", JRSS B 51, 1989).
    """

    name = "group-sequential"

    def looks(self, most: int) -> tuple[int, ...]:
        """Return after how many pairs it looks."""
        found = {max(_LEAST, round(share * most)) for share in _SHARES}
        return tuple(sorted(each for each in found if each <= max(most, _LEAST)))

    def examine(self, logs: Sequence[float], *, most: int, level: float) -> Evidence:
        """Return the evidence at the last look; each limit is the best of those so far."""
        looks = self.looks(most)
        done = [look for look in looks if look <= len(logs)]
        pairs = done[-1] if done else len(logs)
        values = np.asarray(logs[:pairs])
        low, high = -math.inf, math.inf
        for look, nominal in zip(done, nominal_levels(level / _T_SPENDS, looks), strict=False):
            reach = _quantile(look - 1, nominal) * _error(values[:look])
            center = float(np.mean(values[:look]))
            low, high = max(low, center - reach), min(high, center + reach)
        return Evidence(
            pairs=pairs,
            estimate=float(np.mean(values)) if pairs else 0.0,
            deviation=float(np.std(values, ddof=1)) if pairs > 1 else 0.0,
            low=low,
            high=high,
            level=level,
        )

    def smallest(self, deviation: float, *, pairs: int, level: float) -> float:
        """Return the change that the last look would show in 95 % of trials."""
        looks = self.looks(pairs)
        nominal = nominal_levels(level / _T_SPENDS, looks)[-1]
        freedom = looks[-1] - 1
        reach = _quantile(freedom, nominal) + _quantile(freedom, 1 - _POWER)
        return reach * deviation / math.sqrt(looks[-1])


def _error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _quantile(freedom: int, share: float) -> float:
    """Return beyond which value of Student's t a share of it lies."""
    # The special function alone: scipy.stats takes ten times as long to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(freedom, 1 - share))
