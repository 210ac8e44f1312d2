"""Entropy: the threshold that loses the least information, as NVIDIA's talk defines it.

Migacz 2017, "8-bit Inference with TensorRT", GPU Technology Conference. Of a histogram of |x| with
2048 bins, each i from 128 on is a candidate:

* P is the first i bins; what lies beyond is added to the last of them.
* Q is the first i bins without what lies beyond, merged to 128 levels; each level's count is spread
  evenly over those of its bins that are not empty.
* P and Q are normalized, and i* has the least Kullback-Leibler divergence of P from Q.

The threshold is (i* + 0.5) bins. What the talk leaves open is decided here so:

* Levels are equally wide, as in NVIDIA's pytorch-quantization: bin j goes to floor(128 j / i).
* Q is zero where P is not if the last bin has nothing but outliers: Q gets 0.0001 of a count there,
  or the divergence would be infinite. A Q without any count is no candidate.
* Of equal divergences the widest threshold wins, as in pytorch-quantization.
* Zeros are left out, as in ncnn's ncnn2table: each scale has an exact zero. The spike that ReLU
  leaves in the first bin would otherwise push the threshold down as far as it goes.

The definition is made for values that thin out with their magnitude. A spike away from zero draws
the threshold onto itself: P and Q both have nearly all their counts in the last bin then. So it
does with the background of normalized images, -0.42 in Fashion-MNIST.

ONNX Runtime's ``get_entropy_threshold`` is something else: its histogram has both signs, over which
the 128 levels are spread, and is cut at equal distances from its middle; Q holds integers, so that
the spread counts are truncated; bins after the last full level stay zero in Q; and a level's count
is spread over its empty bins too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, xlogy  # type: ignore[import-untyped]

from groundspeed.export.quantize.observers.histogram import Histogram
from groundspeed.quantization import Range

COARSE_BINS = 2048
LEVELS = 128
UNSEEN = 1e-4

# Divergences that differ by less differ by rounding alone.
EQUAL = 1e-9


class Entropy:
    """The range between -T and T as far as values were seen, T being the threshold.

    The talk's last bin ends at the largest magnitude, which one pass over the data does not know
    beforehand. Here five to eight bins of the growing histogram make one, so that the largest
    magnitude is among the last fifth of the 2048. The order of batches is no matter.
    """

    def __init__(self) -> None:
        self._histogram = Histogram()

    def observe(self, values: NDArray[np.float32]) -> None:
        """See the values of one batch; see :meth:`Observer.observe`."""
        self._histogram.add(values[values != 0])

    def range(self) -> Range:
        """Return the range for what was seen so far; see :meth:`Observer.range`."""
        seen = self._histogram.seen
        if seen.is_constant:
            return seen
        counts, width = coarse(self._histogram)
        threshold = (best(counts) + 0.5) * width
        return Range(low=max(-threshold, seen.low), high=min(threshold, seen.high))


def coarse(histogram: Histogram) -> tuple[NDArray[np.int64], float]:
    """Return the counts of |x| in at most 2048 bins up to its largest, and their width."""
    magnitudes = histogram.counts.sum(axis=0)
    used = int(np.flatnonzero(magnitudes)[-1]) + 1
    merged = -(-used // COARSE_BINS)
    counts: NDArray[np.int64] = np.add.reduceat(magnitudes[:used], np.arange(0, used, merged))
    return counts, merged * histogram.width


def best(counts: NDArray[np.int64]) -> int:
    """Return how many bins lie below the threshold of the least divergence.

    Args:
        counts: of the bins of |x|, at least 128; the last is not empty.
    """
    found = divergences(counts)
    return LEVELS + int(np.flatnonzero(found <= found.min() + EQUAL)[-1])


def divergences(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the divergence of P from Q for each number of bins from 128 to all, in nats.

    All candidates at once: what a level contributes depends on its bins' sums alone, which are
    differences of cumulative sums. With p_j the share of bin j in all values, s the sum of p over
    a level, n its number of bins that are not empty and Z the sum of Q,

        KL = sum p_j log p_j - sum s log(s / n) + log Z, corrected for the last bin.
    """
    total = counts.sum()
    shares = counts / total
    candidates = np.arange(LEVELS, len(counts) + 1)
    edges = -(-candidates[:, None] * np.arange(LEVELS + 1) // LEVELS)  # [candidates, 129]
    sums = _cumulative(counts) / total
    filled, entropies = _cumulative(counts > 0), _cumulative(entr(shares))
    inside, outside = sums[candidates], 1.0 - sums[candidates]
    last = shares[candidates - 1]
    level_sums, level_filled = np.diff(sums[edges]), np.diff(filled[edges])
    spread = np.divide(
        level_sums, level_filled, out=np.zeros_like(level_sums), where=level_filled > 0
    )
    unseen = np.where(last > 0, 0.0, UNSEEN / total)
    last_of_q = np.where(last > 0, spread[:, -1], unseen)
    # The outliers change P's last bin alone; Q is as if they had never been.
    p_log_p = -entropies[candidates] + entr(last) - entr(last + outside)
    p_log_q = xlogy(level_sums, spread).sum(axis=1) + xlogy(outside, last_of_q)
    found: NDArray[np.float64] = p_log_p - p_log_q + np.log(inside + unseen)
    return np.where(inside > 0, found, np.inf)


def _cumulative(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the sums of the first 0, 1, ... values."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
