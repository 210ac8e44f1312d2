"""What pairs of launches say about a ratio of latencies, at whatever moment one asks.

A pair gives one number, the logarithm of the candidate's median over the baseline's. As a coin
decides which of the two is launched first, whatever else differs between the two launches falls on
either side alike: where the files are equally fast, the numbers are symmetric about 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known after some pairs; all numbers are logarithms of ratios.

    Attributes:
        pairs: how many.
        estimate: mean of the pairs' logarithms.
        deviation: their standard deviation; 0 from fewer than two.
        low, high: confidence limits, each of which is wrong in no more than ``level`` of all
            comparisons, however often one looks and whenever one stops. Infinite before the first
            look.
        level: see there.
    """

    pairs: int
    estimate: float
    deviation: float
    low: float
    high: float
    level: float

    @property
    def ends(self) -> tuple[float, float]:
        """Both limits."""
        return self.low, self.high


class SequentialTest(Protocol):
    """A way to judge pairs while they come in.

    Attributes:
        name: what people call it.
    """

    name: str

    def looks(self, most: int) -> tuple[int, ...]:
        """Return after how many pairs it looks, when there can be ``most`` of them."""
        ...

    def examine(self, logs: Sequence[float], *, most: int, level: float) -> Evidence:
        """Return the evidence at the last look that the pairs reach.

        Args:
            logs: logarithm of each pair's ratio, in order.
            most: how many pairs there can be.
            level: see :class:`Evidence`.
        """
        ...

    def smallest(self, deviation: float, *, pairs: int, level: float) -> float:
        """Return the change (as a logarithm) that ``pairs`` pairs would show in 95 % of trials.

        Args:
            deviation: standard deviation of the pairs' logarithms.
            pairs: how many there would be.
            level: see :class:`Evidence`.
        """
        ...


def least_level(
    test: SequentialTest, logs: Sequence[float], shift: float, *, most: int, sign: int
) -> float:
    """Return the smallest level at which the pairs show that a change lies beyond ``shift``.

    That is a p-value that holds whenever one stops, as Holm's procedure needs it (Q. Liu and K. M.
    Anderson, "On Adaptive Extensions of Group Sequential Trials", JASA 103, 2008).

    Args:
        test: how to judge.
        logs: logarithm of each pair's ratio.
        shift: a change, as a logarithm.
        most: how many pairs there can be.
        sign: 1 for "above the shift", -1 for "below".
    """
    low, high = 1e-6, 0.4999

    def shows(level: float) -> bool:
        seen = test.examine(logs, most=most, level=level)
        return seen.low > shift if sign > 0 else seen.high < shift

    if not shows(high):
        return 1.0
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high
