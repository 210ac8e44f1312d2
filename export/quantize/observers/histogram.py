"""A histogram that takes batches one after another and grows, without keeping their values."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from groundspeed.export.quantize.observers.observer import extremes
from groundspeed.quantization import Range

# Enough for each of 8 bits' steps to span at least 32 bins; two rows of counts take 256 KiB.
BINS: Final = 16384
LEAST_LIMIT: Final = 2.0**-148  # the least power of two above the least float32


class Histogram:
    """Counts of values by sign and magnitude, in ``BINS`` equal bins from 0 to a limit.

    The limit is the least power of two above every magnitude. When a batch exceeds it, it doubles
    as often as it has to: neighbouring bins merge, and none is ever split. Bins are half-open and
    their edges are multiples of a power of two, which float arithmetic meets exactly; so the counts
    are those of one histogram of all values, whatever their order and however often it grew.

    A value is known up to the width of its bin: at most 1/8192 of the largest magnitude.

    Attributes:
        seen: the least range that holds all values and zero.
        limit: where the last bin ends; a power of two.
        counts: of shape (2, BINS): values below zero, then the others, by growing magnitude.
    """

    def __init__(self) -> None:
        self.seen = Range(low=0.0, high=0.0)
        self.limit = LEAST_LIMIT
        self.counts = np.zeros((2, BINS), np.int64)

    @property
    def width(self) -> float:
        """How far apart the edges of a bin are."""
        return self.limit / BINS

    def add(self, values: NDArray[np.float32]) -> None:
        """Count the values of one batch, of any shape.

        Raises:
            DataError: a value is NaN or infinite.
        """
        batch = extremes(values)
        self.seen = self.seen.joined(batch)
        self._grow(max(-batch.low, batch.high))
        scaled = np.abs(values, dtype=np.float64).ravel() * (BINS / self.limit)
        places = scaled.astype(np.int64) + BINS * (values.ravel() >= 0)
        self.counts += np.bincount(places, minlength=2 * BINS).reshape(2, BINS)

    def on_line(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the middle of each bin from the most negative on, and its count."""
        middles = (np.arange(-BINS, BINS, dtype=np.float64) + 0.5) * self.width
        return middles, np.concatenate([self.counts[0, ::-1], self.counts[1]])

    def _grow(self, peak: float) -> None:
        """Merge bins until ``peak`` is below the limit."""
        limit = max(math.ldexp(1.0, math.frexp(peak)[1]), self.limit) if peak else self.limit
        merged = int(min(limit / self.limit, BINS))
        if merged > 1:
            sums = self.counts.reshape(2, -1, merged).sum(axis=2)
            self.counts = np.pad(sums, ((0, 0), (0, BINS - sums.shape[1])))
        self.limit = limit
