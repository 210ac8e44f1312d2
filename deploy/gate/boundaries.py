"""When a test that looks several times may reject: critical values by alpha spending.

Who looks five times at a test of 1 % raises three false alarms in a hundred. So each look gets a
part of the level, by a spending function that is fixed before the first one (K. K. G. Lan and D. L.
DeMets, "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70, 1983), here the power
family (K. Kim and D. L. DeMets, Biometrika 74, 1987). The probabilities are found by integrating
from look to look over the values at which the test went on (P. Armitage, C. K. McPherson and B. C.
Rowe, "Repeated Significance Tests on Accumulating Data", JRSS A 132, 1969).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

# Spent in proportion to the square of what is known: later looks, which know more, get more.
EXPONENT = 2.0

_NODES = 400  # of the integral; twice as many change no boundary by 1e-6
_REACH = 8.0  # standard deviations beyond which a normal density is nothing


@functools.cache
def nominal_levels(level: float, looks: tuple[int, ...]) -> tuple[float, ...]:
    """Return at which p-value each look of a one-sided test rejects.

    Args:
        level: how often all looks together may reject what is true.
        looks: numbers of observations, rising; the last one spends all that is left.

    Raises:
        ValueError: the level is no probability below one half, or the looks do not rise.
    """
    if not 0.0 < level < 0.5 or list(looks) != sorted(set(looks)) or not looks or looks[0] < 1:
        raise ValueError(f"no boundaries for level {level} and looks {looks}")
    # The special functions alone: scipy.stats takes ten times as long to import.
    from scipy.special import ndtr  # type: ignore[import-untyped]

    shares = [(look / looks[-1]) ** EXPONENT for look in looks]
    found: list[float] = []
    spent = 0.0
    where, weight = np.zeros(1), np.ones(1)  # the sum of observations, where the test went on
    known = 0
    for look, share in zip(looks, shares, strict=True):
        step = math.sqrt(look - known)
        to_spend = level * share - spent
        edge = _edge(where, weight, step, to_spend)
        found.append(float(ndtr(-edge / math.sqrt(look))))
        where, weight = _onward(where, weight, step, edge, -_REACH * math.sqrt(look))
        spent, known = level * share, look
    return tuple(found)


def _edge(
    where: NDArray[np.float64], weight: NDArray[np.float64], step: float, share: float
) -> float:
    """Return the sum beyond which the next look finds a part of ``share`` of all sequences."""
    from scipy.optimize import brentq  # type: ignore[import-untyped]
    from scipy.special import ndtr

    def beyond(edge: float) -> float:
        return float(weight @ ndtr((where - edge) / step)) - share

    top = float(where.max()) + _REACH * step
    return float(brentq(beyond, float(where.min()) - _REACH * step, top, xtol=1e-10))


def _onward(
    where: NDArray[np.float64], weight: NDArray[np.float64], step: float, edge: float, low: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums at the next look below its edge, with their probabilities as weights."""
    nodes, parts = _rule()
    half = (edge - low) / 2
    there = low + half * (nodes + 1)
    gaps = (there[:, None] - where[None, :]) / step
    density = np.exp(-(gaps**2) / 2) @ weight / (step * math.sqrt(2 * math.pi))
    return there, density * parts * half


@functools.cache
def _rule() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the nodes and weights of Gauss and Legendre on [-1, 1]."""
    return np.polynomial.legendre.leggauss(_NODES)
