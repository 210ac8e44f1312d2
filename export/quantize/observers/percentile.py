"""Percentile: a small share of the values is clipped at each end.

Wu et al. 2020, "Integer Quantization for Deep Learning Inference: Principles and Empirical
Evaluation", and McKinstry et al. 2018, "Discovering Low-Precision Networks Close to
Full-Precision Networks for Efficient Embedded Inference". They cut the magnitudes, for symmetric
integers; here each end is cut by itself, so that a skewed tensor keeps its skew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundspeed.export.quantize.observers.histogram import Histogram
from groundspeed.quantization import Range


class Percentile:
    """The narrowest range with at most a given share of all values beyond each of its ends.

    An end lies up to the width of a histogram's bin further out than the exact percentile; a tensor
    with few values is not clipped at all. The order of batches is no matter.

    Args:
        clipped: the share of values that may lie beyond each end; Wu et al. compare shares from
            1e-3 to 1e-6.

    Raises:
        ValueError: the share is out of its bounds.
    """

    def __init__(self, clipped: float = 1e-4) -> None:
        if not 0.0 <= clipped < 1.0:
            raise ValueError(f"a share of clipped values is in [0, 1), {clipped} is not")
        self._clipped = clipped
        self._histogram = Histogram()

    def observe(self, values: NDArray[np.float32]) -> None:
        """See the values of one batch; see :meth:`Observer.observe`."""
        self._histogram.add(values)

    def range(self) -> Range:
        """Return the range for what was seen so far; see :meth:`Observer.range`."""
        histogram = self._histogram
        allowed = int(self._clipped * histogram.counts.sum())
        below, above = (_bins_kept(side, allowed) * histogram.width for side in histogram.counts)
        return Range(
            low=max(0.0 - below, histogram.seen.low),  # 0.0 - 0.0 is no negative zero
            high=min(above, histogram.seen.high),
        )


def _bins_kept(counts: NDArray[np.int64], allowed: int) -> int:
    """Return the least number of bins from zero on, beyond which at most ``allowed`` values lie."""
    beyond = counts.sum() - np.concatenate([[0], np.cumsum(counts)])
    return int(np.argmax(beyond <= allowed))
