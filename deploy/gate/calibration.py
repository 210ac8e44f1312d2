"""How far a device can be trusted, as its null comparisons tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.deploy import comparability
from groundspeed.deploy.gate.decision import Rules, sequential_test
from groundspeed.measurement import Launch

CONFIDENCE = 0.95
WARMER_C = 10.0  # than it ever was in the calibration: other clocks are to be expected


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The null comparisons of a device under one setting.

    Attributes:
        device: name of the target.
        runtime, precision, threads: the setting.
        key: what must be equal in launches that it speaks for, of the newest comparison.
        first_at, last_at: when the first and the last comparison began, UTC, ISO 8601.
        comparisons: how many.
        fails, improvements: in how many a slowdown, or a gain, was shown that there cannot be.
        bound: upper limit of the share of fails, at 95 % (C. J. Clopper and E. S. Pearson,
            Biometrika 26, 1934).
        pairs: of all comparisons together.
        deviation: standard deviation of the logarithm of a pair's ratio, within comparisons.
        deviation_low, deviation_high: its 95 % limits, if pairs are about normal.
        within: median over launches of the scatter of inferences (half the distance from the 16th
            to the 84th percentile, over the median).
        autocorrelation: of pairs that follow each other; above 0 when disturbances last.
        pair_s: what a pair takes, in seconds.
        hottest_c: the highest temperature that was read; None without a sensor.
    """

    device: str
    runtime: str
    precision: str
    threads: int
    key: comparability.Key
    first_at: str
    last_at: str
    comparisons: int
    fails: int
    improvements: int
    bound: float
    pairs: int
    deviation: float
    deviation_low: float
    deviation_high: float
    within: float
    autocorrelation: float
    pair_s: float
    hottest_c: float | None

    def smallest(self, pairs: int, rules: Rules) -> float:
        """Return the change (as a logarithm) that so many pairs show in 95 % of trials."""
        return sequential_test(rules).smallest(self.deviation, pairs=pairs, level=rules.level)


def stale(calibration: Calibration, key: comparability.Key, launches: Sequence[Launch]) -> str:
    """Return why a calibration does not speak for some launches; "" when it does.

    Args:
        calibration: of the same device, runtime, precision and threads.
        key: what must be equal in launches that are compared with these.
        launches: what was measured now.
    """
    differences = comparability.differences(without_shapes(calibration.key), without_shapes(key))
    if differences:
        return differences
    before, now = calibration.hottest_c, hottest_c(launches)
    if before is not None and now is not None and now > before + WARMER_C:
        return f"it was {before:.0f} °C at most, is {now:.0f} °C"
    return ""


def without_shapes(key: comparability.Key) -> comparability.Key:
    """Return a key for every network: scatter is the device's, not the input's."""
    return {name: value for name, value in key.items() if name != "input_shapes"}


def hottest_c(launches: Sequence[Launch]) -> float | None:
    """Return the highest temperature around some launches; None without a sensor."""
    read = [
        temperature
        for launch in launches
        for moment in (launch.before, launch.after)
        for temperature in (moment.temperatures_c or {}).values()
    ]
    return max(read, default=None)
