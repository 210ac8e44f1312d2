"""The table of observers: one line for each way to choose the range of a tensor."""

from __future__ import annotations

from groundspeed.registry import Entry, Registry

_HERE = "groundspeed.export.quantize.observers"

# Numpy is all that they need, hence no extra.
OBSERVERS = Registry(
    "observer",
    "groundspeed.observers",
    {
        "minmax": Entry(
            target=f"{_HERE}.minmax:MinMax",
            extra="",
            summary="the least and the largest value seen",
        ),
        "moving_average": Entry(
            target=f"{_HERE}.moving_average:MovingAverage",
            extra="",
            summary="the extremes of batches, smoothed exponentially",
        ),
        "percentile": Entry(
            target=f"{_HERE}.percentile:Percentile",
            extra="",
            summary="all but one in 10,000 values at each end",
        ),
        "mse": Entry(
            target=f"{_HERE}.mse:Mse",
            extra="",
            summary="the least mean squared error of 8-bit integers",
        ),
        "entropy": Entry(
            target=f"{_HERE}.entropy:Entropy",
            extra="",
            summary="the least Kullback-Leibler divergence, after NVIDIA's talk",
        ),
    },
)
