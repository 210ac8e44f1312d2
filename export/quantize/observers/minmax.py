"""Min-max: the least and the largest value that were ever seen.

Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient inference: A whitepaper".
Nothing is clipped, so that a single outlier widens every step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundspeed.export.quantize.observers.observer import extremes
from groundspeed.quantization import Range


class MinMax:
    """The range of everything that was seen, zero included; the order of batches is no matter."""

    def __init__(self) -> None:
        self._range = Range(low=0.0, high=0.0)

    def observe(self, values: NDArray[np.float32]) -> None:
        """See the values of one batch; see :meth:`Observer.observe`."""
        self._range = self._range.joined(extremes(values))

    def range(self) -> Range:
        """Return the range for what was seen so far; see :meth:`Observer.range`."""
        return self._range
