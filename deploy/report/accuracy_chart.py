"""The picture of accuracy against latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from groundspeed.deploy.report.charts import CELL_COLORS, axis, layout
from groundspeed.deploy.report.correctness import ScoredCell, judged_by, noise, share
from groundspeed.units import bytes_text

FEWEST = 3  # points that make a picture
_SYMBOLS = ("diamond", "circle", "square", "cross")  # one for each round of the colors
_BEYOND = 1.5  # times the slowest cell: few launches give bars that would dwarf all else


def drawn(cells: Sequence[ScoredCell]) -> list[ScoredCell]:
    """Return the cells that have a point; below ``FEWEST`` of them a table says it better."""
    with_point = [one for one in cells if one.proportion is not None]
    return with_point if len(with_point) >= FEWEST else []


def against_latency(cells: Sequence[ScoredCell]) -> go.Figure:
    """Draw a point for each cell with its 95 % intervals: the best are high up on the left.

    Bars that reach far beyond the slowest cell are cut off.
    """
    figure = go.Figure(
        layout=layout(420, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    )
    figure.update_layout(margin={"t": 40})
    points = drawn(cells)
    for place, one in enumerate(points):
        lap, color = divmod(place, len(CELL_COLORS))
        figure.add_trace(_point(one, CELL_COLORS[color], _SYMBOLS[lap % len(_SYMBOLS)]))
    slowest_ns = max((one.cell.latency.estimate_ns for one in points), default=0)
    figure.update_xaxes(axis("latency, ms", range=[0, _BEYOND * slowest_ns / 1e6]))
    figure.update_yaxes(axis(f"{judged_by(cells)}, %"))
    return figure


def _point(one: ScoredCell, color: str, symbol: str) -> Any:
    proportion, latency = one.proportion, one.cell.latency
    assert proportion is not None
    span = latency.interval
    low_ns, high_ns = (span.low_ns, span.high_ns) if span else (latency.estimate_ns,) * 2
    bars = {"type": "data", "symmetric": False, "color": color, "thickness": 1.5}
    return go.Scatter(
        x=[latency.estimate_ns / 1e6],
        y=[100 * proportion.value],
        mode="markers",
        name=one.cell.label,
        marker={"symbol": symbol, "size": 9, "color": color},
        error_x={
            **bars,
            "array": [(high_ns - latency.estimate_ns) / 1e6],
            "arrayminus": [(latency.estimate_ns - low_ns) / 1e6],
        },
        error_y={
            **bars,
            "array": [100 * (proportion.high - proportion.value)],
            "arrayminus": [100 * (proportion.value - proportion.low)],
        },
        customdata=[[share(proportion), bytes_text(one.cell.file_bytes), noise(one.scored)]],
        hovertemplate=f"<b>{one.cell.label}</b><br>%{{x:.3f}} ms, %{{customdata[0]}}<br>"
        "file %{customdata[1]}, SQNR in dB: %{customdata[2]}<extra></extra>",
    )
