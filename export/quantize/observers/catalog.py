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
    },
)
