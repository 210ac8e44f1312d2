"""Moving average: the extremes of batches, smoothed exponentially.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.1. A rare outlier counts for little, the latest
batches count most: the order of batches matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundspeed.export.quantize.observers.observer import extremes
from groundspeed.quantization import Range


class MovingAverage:
    """Keeps ``momentum`` of the range at each batch, and takes the rest from the batch.

    Args:
        momentum: from 0 (the last batch alone) to below 1. The paper smooths over thousands of
            training steps; calibration sees tens of batches, of which 0.9 averages about ten.

    Raises:
        ValueError: the momentum is out of its bounds.
    """

    def __init__(self, momentum: float = 0.9) -> None:
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"a momentum is in [0, 1), {momentum} is not")
        self._momentum = momentum
        self._range: Range | None = None

    def observe(self, values: NDArray[np.float32]) -> None:
        """See the values of one batch; see :meth:`Observer.observe`."""
        batch = extremes(values)
        self._range = batch if self._range is None else self._smoothed(self._range, batch)

    def range(self) -> Range:
        """Return the range for what was seen so far; see :meth:`Observer.range`."""
        return self._range or Range(low=0.0, high=0.0)

    def _smoothed(self, kept: Range, batch: Range) -> Range:
        rest = 1.0 - self._momentum
        return Range(
            low=self._momentum * kept.low + rest * batch.low,
            high=self._momentum * kept.high + rest * batch.high,
        )
