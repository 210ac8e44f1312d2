"""Whether a launch ran on a device that kept its pace.

A device is trusted when it says that it does not throttle and the samples do not slow down. Its
own word is not enough: phones are known that report thermal status 0 at any temperature. And a
drift is only one when it is beyond what the samples scatter anyway.
"""

from __future__ import annotations

import enum
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.measurement import Conditions, Launch

HOT_BATTERY_C = 40.0  # where phones begin to hold their clocks down
DRIFT = 0.05
BLOCKS = 12
RARELY = 0.01  # how often a launch without any drift may be called drifting


class Pace(enum.StrEnum):
    """Whether a launch can be trusted to show the device at its normal pace."""

    STABLE = "stable"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Stability:
    """A verdict on a launch.

    Attributes:
        pace: the verdict.
        reasons: why it is not stable, in words.
    """

    pace: Pace
    reasons: tuple[str, ...] = ()


def judge(launch: Launch) -> Stability:
    """Return whether the device kept its pace during a launch."""
    looks = (launch.before, *launch.during, launch.after)
    reasons = [*_said(looks)]
    slowdown = drift(launch.samples_ns)
    if slowdown is not None and slowdown > DRIFT:
        reasons.append(f"it slowed down by {slowdown:.0%} within the launch")
    if reasons:
        return Stability(pace=Pace.THROTTLED, reasons=tuple(reasons))
    if all(look.throttled is None and not look.temperatures_c for look in looks):
        return Stability(pace=Pace.UNKNOWN, reasons=("its clocks and temperatures are unreadable",))
    return Stability(pace=Pace.STABLE)


def drift(samples_ns: Sequence[int]) -> float | None:
    """Return by what share the last quarter is slower than the first, negative when faster.

    None where the samples are too few, or where a rank correlation between time and latency
    (Kendall's tau over the medians of 12 blocks, so that neighbours who resemble each other count
    once) is what samples without a drift would show by chance too.
    """
    if len(samples_ns) < 2 * BLOCKS:
        return None
    from scipy.stats import kendalltau  # type: ignore[import-untyped]  # slow to import

    edges = [index * len(samples_ns) // BLOCKS for index in range(BLOCKS + 1)]
    medians = [statistics.median(samples_ns[begin:end]) for begin, end in itertools.pairwise(edges)]
    chance = float(kendalltau(range(BLOCKS), medians).pvalue)
    if not chance < RARELY:  # NaN when all are equal
        return None
    quarter = len(samples_ns) // 4
    first, last = statistics.median(samples_ns[:quarter]), statistics.median(samples_ns[-quarter:])
    return last / first - 1


def _said(looks: Sequence[Conditions]) -> list[str]:
    reasons = []
    if any(look.throttled for look in looks):
        reasons.append("the device said that it held its clocks down")
    batteries = [
        degrees
        for look in looks
        for zone, degrees in (look.temperatures_c or {}).items()
        if "battery" in zone.lower()
    ]
    if batteries and max(batteries) >= HOT_BATTERY_C:
        reasons.append(f"the battery had {max(batteries):.0f} °C")
    return reasons
