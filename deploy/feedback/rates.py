"""How fast a runtime usually is at something in one run, for others to be held against."""

from __future__ import annotations

from collections.abc import Iterable


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
    """Return the share of an op's time that it would save at another rate, 0 to 1.

    None where a rate is unknown, for then nothing can be said.

    Args:
        rate: that it achieved.
        reference: that it should achieve.
        work: what it would have to do then, in multiples of what it does now.
    """
    if rate is None or reference is None:
        return None
    return max(0.0, 1.0 - work * rate / reference)
