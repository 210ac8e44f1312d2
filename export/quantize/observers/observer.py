"""What every observer implements: one protocol, one file for each."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundspeed.errors import DataError
from groundspeed.quantization import Range


class Observer(Protocol):
    """Sees the values of one tensor, batch after batch, and chooses its range.

    An observer can be made without arguments, so that each tensor gets one of its own.
    """

    def observe(self, values: NDArray[np.float32]) -> None:
        """See the values of one batch, of any shape.

        Raises:
            DataError: a value is NaN or infinite.
        """
        ...

    def range(self) -> Range:
        """Return the range for what was seen so far; [0, 0] before anything was."""
        ...


def extremes(values: NDArray[np.float32]) -> Range:
    """Return the least range that holds the values and zero.

    Raises:
        DataError: a value is NaN or infinite.
    """
    # NaN survives both reductions, so that the values need no pass of their own for the check.
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(
            "the values of a tensor hold NaN or infinity, which no integer can stand for; "
            "check the data's normalization and the network's weights"
        )
    return Range(low=low, high=high)
