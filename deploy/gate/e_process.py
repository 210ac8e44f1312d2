"""The strict mode: a bet against symmetry, whose limits hold at every moment, for any scatter.

Student's t asks that means be about normal. Coin flips alone already make the pairs' logarithms
symmetric about the true one. Against a change of no more than some shift one may then bet on each
pair that it lies above: with f odd, rising and within ±1, a fortune that is multiplied by
1 + stake · f(pair - shift) does not grow in the mean, whatever the scatter and whatever happened
before (A. Ramdas, J. Ruf, M. Larsson and W. Koolen, "Admissible Anytime-valid Sequential Inference
Must Rely on Nonnegative Martingales", 2020). That it ever exceeds 1 / level has a probability of at
most the level (J. Ville, 1939). Limits are the shifts against which the fortune is not so large yet
(I. Waudby-Smith and A. Ramdas, "Estimating Means of Bounded Random Variables by Betting", JRSS B
86, 2024).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.gate.evidence import Evidence

Floats = NDArray[np.float64]

_STAKES = np.arange(0.1, 0.95, 0.1)  # bet side by side, a ninth of the fortune on each
_SCALE = 0.03  # of the first pairs; later ones are measured against those before them
_LEARNT = 5  # pairs after which their own scatter is taken
_LEAST_SCALE = 1e-4

_FARTHEST = math.log(100.0)  # no limit beyond a hundredfold
_TRIALS = 400


class EProcess:
    """Looks after each pair from the fifth on."""

    name = "e-process"

    def looks(self, most: int) -> tuple[int, ...]:
        """Return after how many pairs it looks: after each."""
        return tuple(range(5, max(most, 5) + 1))

    def examine(self, logs: Sequence[float], *, most: int, level: float) -> Evidence:
        """Return the evidence after all pairs; each limit is the best of those so far."""
        values = np.asarray(logs, dtype=np.float64)
        scales = _scales(values)
        return Evidence(
            pairs=len(values),
            estimate=float(np.mean(values)) if len(values) else 0.0,
            deviation=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            low=_limit(values, scales, level),
            high=-_limit(-values, scales, level),
            level=level,
        )

    def smallest(self, deviation: float, *, pairs: int, level: float) -> float:
        """Return the change that so many pairs show in 95 % of simulated trials."""
        return deviation * _smallest_of_one(pairs, level)


def _limit(values: Floats, scales: Floats, level: float) -> float:
    """Return the largest shift that the fortune against "no more than it" excludes."""
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    def excess(shift: float) -> float:
        return float(_log_fortunes(values - shift, scales).max(initial=0.0)) + math.log(level)

    if excess(-_FARTHEST) <= 0:
        return -math.inf
    return float(brentq(excess, -_FARTHEST, float(values.max()), xtol=1e-9))


def _log_fortunes(values: Floats, scales: Floats) -> Floats:
    """Return the logarithm of the fortune after each pair, along the last axis."""
    won = np.tanh(values / scales)[..., None]
    each = np.cumsum(np.log1p(_STAKES * won), axis=-2)
    top = each.max(axis=-1)
    sums: Floats = top + np.log(np.mean(np.exp(each - top[..., None]), axis=-1))
    return sums


def _scales(values: Floats) -> Floats:
    """Return against what each pair is measured: the scatter of those before it alone."""
    found = np.full(len(values), _SCALE)
    for place in range(_LEARNT, len(values)):
        before = values[:place]
        spread = float(np.median(np.abs(before - np.median(before)))) * 1.4826
        found[place] = max(spread, _LEAST_SCALE)
    return found


@functools.cache
def _smallest_of_one(pairs: int, level: float) -> float:
    """Return the smallest change to be shown where pairs scatter by 1, in normal trials."""
    noise = np.random.default_rng(0).standard_normal((_TRIALS, pairs))
    low, high = 0.0, 50.0
    while high - low > 0.01:
        middle = (low + high) / 2
        best = _log_fortunes(noise + middle, np.ones(pairs)).max(axis=-1)
        shown = float(np.mean(best > -math.log(level)))
        low, high = (low, middle) if shown >= 0.95 else (middle, high)
    return high
