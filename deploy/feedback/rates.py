"""How fast a runtime usually is at something in one run, for others to be held against."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fitted(terms: Floats, times: Floats) -> Floats:
    """Return what a unit of each term takes by the law that is nearest to some times, [terms].

    Relative errors are what counts, so that small ops are not drowned by large ones; nothing takes
    less than no time (C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974, chapter
    23).

    Args:
        terms: how many units of each an op has, [ops, terms].
        times: what ops take, above 0, [ops].
    """
    from scipy.optimize import nnls  # type: ignore[import-untyped]  # scipy ships no types

    relative = terms / times[:, None]
    # Columns of one size: the solver's tolerance is absolute.
    scale = np.maximum(np.linalg.norm(relative, axis=0), 1e-300)
    solution, _ = nnls(relative / scale, np.ones(len(times)))
    law: Floats = solution / scale
    return law


def typical(rates: Iterable[tuple[float | None, float]]) -> float | None:
    """Return the median of rates, weighted by time; None where nothing has a rate.

    Args:
        rates: a rate, None where it is unknown, and the time that was spent at it.
    """
    known = sorted((rate, time) for rate, time in rates if rate is not None)
    half, passed = sum(time for _, time in known) / 2, 0.0
    for rate, time in known:
        passed += time
        if passed >= half:
            return rate
    return None


def saved(rate: float | None, reference: float | None, work: float = 1.0) -> float | None:
    """Return the share of an op's time that it would save at another rate, at most 1.

    Below zero it would take longer then. None where a rate is unknown, for then nothing can be
    said.

    Args:
        rate: that it achieved.
        reference: that it should achieve.
        work: what it would have to do then, in multiples of what it does now.
    """
    if rate is None or reference is None:
        return None
    return 1.0 - work * rate / reference
