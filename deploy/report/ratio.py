"""How two cells of a run compare: the ratio of their latencies, and how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from groundspeed.deploy.statistics import CONFIDENCE, Latency


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One latency over another.

    Attributes:
        value: ratio of the two estimates.
        interval: lower and upper end of its 95 % interval; None when a cell has a single launch.
    """

    value: float
    interval: tuple[float, float] | None

    @property
    def is_slower(self) -> bool:
        """Whether the first is slower beyond doubt: the whole interval lies above 1."""
        return self.interval is not None and self.interval[0] > 1.0


def ratio(one: Latency, other: Latency) -> Ratio:
    """Return the latency of ``one`` over that of ``other``.

    The interval is Welch's on the logarithms of the launches' medians (B. L. Welch, "The
    Generalization of 'Student's' Problem when Several Different Population Variances are
    Involved", Biometrika 34, 1947): cells stop at different numbers of launches, so that launches
    cannot be paired, and from a handful of them a bootstrap's would be too narrow.
    """
    value = one.estimate_ns / other.estimate_ns
    if min(one.launches, other.launches) < 2:
        return Ratio(value=value, interval=None)
    reach = _reach(np.log(one.medians_ns), np.log(other.medians_ns))
    return Ratio(value=value, interval=(value * math.exp(-reach), value * math.exp(reach)))


def _reach(one: np.ndarray, other: np.ndarray) -> float:
    """Return the half width of Welch's interval of the difference of two means."""
    # The special function alone: scipy.stats takes ten times as long to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    squares = [float(np.var(values, ddof=1)) / len(values) for values in (one, other)]
    if not any(squares):
        return 0.0
    counts = (len(one) - 1, len(other) - 1)
    freedom = sum(squares) ** 2 / sum(s**2 / n for s, n in zip(squares, counts, strict=True))
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(sum(squares))
