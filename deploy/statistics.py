"""What launches say about a latency: the estimate, and how far it can be trusted.

The unit is a launch, not an inference: inferences within a process share its memory placement,
clocks and neighbours, so that their number says little about how far a result can be trusted. Hence
every launch gives one value, its median, and all intervals come from the launches' values
(T. Kalibera and R. Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013: repeat where the
variance arises).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundspeed.measurement import Launch

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where the estimate may lie, in nanoseconds.

    Attributes:
        low_ns: lower end.
        high_ns: upper end.
        confidence: how often such intervals hold the true value in the long run.
    """

    low_ns: float
    high_ns: float
    confidence: float = CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The latency of one artifact under one setting, over several launches.

    Attributes:
        estimate_ns: geometric mean of the launches' medians.
        interval: of the estimate, with launches as the unit; None for a single launch, which
            says nothing about how much the next one would differ.
        p10_ns, p50_ns, p90_ns: percentiles of the inferences *within* a launch, each the median
            over launches: how steady one process is, not how sure the estimate is.
        medians_ns: the median of each launch, in order.
        samples: inferences over all launches.
    """

    estimate_ns: float
    interval: Interval | None
    p10_ns: float
    p50_ns: float
    p90_ns: float
    medians_ns: tuple[float, ...]
    samples: int

    @property
    def launches(self) -> int:
        """Number of launches."""
        return len(self.medians_ns)

    @property
    def relative_half_width(self) -> float | None:
        """How far the interval's upper end lies above the estimate, as a share of it."""
        return None if self.interval is None else self.interval.high_ns / self.estimate_ns - 1


def latency(launches: Sequence[Launch]) -> Latency:
    """Return what ``launches`` of one artifact under one setting say about its latency.

    Raises:
        ValueError: there is no launch, or one has no sample.
    """
    return from_samples([launch.samples_ns for launch in launches])


def from_samples(samples_ns: Sequence[Sequence[int]]) -> Latency:
    """Return the latency from the samples of each launch; see :func:`latency`."""
    if not samples_ns or not all(len(samples) for samples in samples_ns):
        raise ValueError("a latency needs at least one launch, and a sample in each")
    percentiles = np.array([np.percentile(samples, (10, 50, 90)) for samples in samples_ns])
    p10, p50, p90 = np.median(percentiles, axis=0)
    medians = tuple(float(value) for value in percentiles[:, 1])
    return Latency(
        estimate_ns=estimate(medians),
        interval=interval(medians),
        p10_ns=float(p10),
        p50_ns=float(p50),
        p90_ns=float(p90),
        medians_ns=medians,
        samples=sum(len(samples) for samples in samples_ns),
    )


def estimate(medians_ns: Sequence[float]) -> float:
    """Return the geometric mean of launches' medians, in nanoseconds."""
    return math.exp(math.fsum(map(math.log, medians_ns)) / len(medians_ns))


def interval(medians_ns: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Return the interval of the geometric mean of launches' medians, None from a single launch.

    Student's t on the logarithms: launches differ by factors rather than by summands, so their
    logarithms are closer to symmetric. From two launches it is honest and very wide.
    """
    if len(medians_ns) < 2:
        return None
    low, high = t_interval(np.log(medians_ns), confidence)
    return Interval(low_ns=math.exp(low), high_ns=math.exp(high), confidence=confidence)


def t_interval(
    values: Sequence[float] | NDArray[np.float64], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return Student's interval of the mean of two or more values."""
    # The special function alone: scipy.stats takes ten times as long to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    center = float(np.mean(values))
    return center - reach, center + reach
