"""MSE: the clipping range with the least mean squared error of 8-bit integers.

Sung et al. 2015, "Resiliency of Deep Neural Networks under Quantization", search the step of the
grid; Choukroun et al. 2019, "Low-bit Quantization of Neural Networks for Efficient Inference",
call it OMSE; Banner et al. 2019, "Post training 4-bit quantization of convolutional networks for
rapid-deployment", solve it for Gauss' and Laplace's distributions. Here it is a search over the
distribution that was seen, with a grid of 256 asymmetric levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundspeed.export.quantize.observers.histogram import Histogram
from groundspeed.quantization import LEAST_SCALE, Range

STEPS = 32
LARGEST = 255


class Mse:
    """The best of all ranges whose ends are multiples of 1/32 of the ends of what was seen.

    Errors are those of the middles of a histogram's bins. A value's distance to the nearest level
    changes no more than the value itself, so the root mean square error of the range found is at
    most the width of one bin above that of the best range. The order of batches is no matter.
    """

    def __init__(self) -> None:
        self._histogram = Histogram()

    def observe(self, values: NDArray[np.float32]) -> None:
        """See the values of one batch; see :meth:`Observer.observe`."""
        self._histogram.add(values)

    def range(self) -> Range:
        """Return the range for what was seen so far; see :meth:`Observer.range`."""
        seen = self._histogram.seen
        if seen.is_constant:
            return seen
        errors = _Errors(self._histogram)
        lows, highs = _ends(seen.low), _ends(seen.high)
        table = np.stack([errors.of(low, highs) for low in lows])
        best_low, best_high = np.unravel_index(np.argmin(table), table.shape)
        return Range(low=float(lows[best_low]), high=float(highs[best_high]))


def _ends(end: float) -> NDArray[np.float64]:
    """Return the candidates for one end, the widest first: it wins where errors are equal."""
    return end * np.arange(STEPS, 0, -1) / STEPS if end else np.zeros(1)


class _Errors:
    """Sums of squared errors of many ranges, from cumulative moments of the histogram.

    The values that go to one level v are neighbours in the histogram, and their squared errors sum
    to (sum of x^2) - 2 v (sum of x) + v^2 (number): differences of cumulative sums.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._width = histogram.width
        middles, counts = histogram.on_line()
        moments = (counts, counts * middles, counts * middles**2)
        self._cumulative = [np.concatenate([[0.0], np.cumsum(moment)]) for moment in moments]

    def of(self, low: float, highs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of squared errors of the range from ``low`` to each of ``highs``."""
        # As Range.asymmetric, for all the ranges at once.
        scale = np.maximum((highs - low) / LARGEST, LEAST_SCALE)[:, None]
        zero_point = np.rint(-low / scale)
        levels = scale * (np.arange(LARGEST + 1.0) - zero_point)  # [candidates, 256]
        places = self._places(levels)
        number, total, squares = (np.diff(each[places]) for each in self._cumulative)
        errors: NDArray[np.float64] = (squares - 2 * levels * total + levels**2 * number).sum(1)
        return errors

    def _places(self, levels: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return which bin is the first to go to each level; shape [candidates, 257]."""
        bins = len(self._cumulative[0]) - 1
        halfway = (levels[:, :-1] + levels[:, 1:]) / 2
        first = np.ceil(halfway / self._width + bins / 2 - 0.5)
        inner = np.clip(first, 0, bins).astype(np.int64)
        return np.pad(inner, ((0, 0), (1, 1)), constant_values=((0, 0), (0, bins)))
