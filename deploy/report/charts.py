"""The pictures of the report, as Plotly figures without fixed colours for text and background.

The page sets those by the reader's light or dark preference, so figures hold only data and shape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]

from groundspeed.deploy.feedback.breakdown import Breakdown
from groundspeed.deploy.report import text
from groundspeed.deploy.report.content import Cell, Network
from groundspeed.deploy.report.tables import patterns
from groundspeed.ops import OpKind

# Convolutions are cool colours, what lies between them warm ones, data movement red.
KIND_COLORS: dict[OpKind | None, str] = {
    OpKind.CONVOLUTION: "#2b5fc7",
    OpKind.POINTWISE: "#5a8dee",
    OpKind.DEPTHWISE: "#1fa3a3",
    OpKind.GROUP: "#7a63d6",
    OpKind.TRANSPOSED: "#423c9e",
    OpKind.LINEAR: "#9fb3f2",
    OpKind.NORMALIZATION: "#b8962e",
    OpKind.ACTIVATION: "#e8b100",
    OpKind.ELEMENTWISE: "#ee7d2b",
    OpKind.POOLING: "#7fae4e",
    OpKind.REDUCTION: "#3f8a57",
    OpKind.DATA_MOVEMENT: "#d9435b",
    OpKind.QUANTIZE: "#b2479d",
    OpKind.OTHER: "#8b919c",
    None: "#b4bac4",
}
_PALE = {OpKind.LINEAR, OpKind.ACTIVATION, None}  # dark letters read better on these
CELL_COLORS = (
    "#3b74e0",
    "#e0703a",
    "#1f9e89",
    "#a54fc4",
    "#c2912a",
    "#d9435b",
    "#5d6b82",
    "#7fae4e",
)

_GRID = "rgba(128,136,150,.22)"
_CLEAR = "rgba(0,0,0,0)"


def layout(height: int, **more: Any) -> go.Layout:
    """Return what all pictures share; ``more`` is Plotly's own."""
    return go.Layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 44},
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        font={"size": 13},
        hoverlabel={"align": "left"},
        **more,
    )


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return a quiet axis; ``more`` is Plotly's own."""
    return {
        "title": {"text": title, "standoff": 10, "font": {"size": 13}},
        "gridcolor": _GRID,
        "zerolinecolor": _GRID,
        "automargin": True,
        "ticks": "",
        **more,
    }


def distribution(network: Network) -> go.Figure:
    """Draw for each cell a box of all samples and a point for every launch's median.

    The box is p25 to p75 with the median, its whiskers p10 and p90; the bar above it is the
    estimate with its 95 % interval over launches.
    """
    figure = go.Figure(layout=layout(70 + 84 * len(network.cells), showlegend=False))
    for place, cell in enumerate(network.cells):
        color = CELL_COLORS[place % len(CELL_COLORS)]
        figure.add_traces(_samples_box(cell, place, color))
    # The interval of a few launches can be very wide: it may leave the picture, samples may not.
    farthest = max(max(*cell.latency.medians_ns, cell.latency.p90_ns) for cell in network.cells)
    figure.update_xaxes(axis("latency, ms", range=[0, 1.15 * farthest / 1e6]))
    figure.update_yaxes(
        axis("", gridcolor=_CLEAR, autorange="reversed", zeroline=False),
        tickvals=list(range(len(network.cells))),
        ticktext=[cell.label for cell in network.cells],
    )
    return figure


def _samples_box(cell: Cell, place: int, color: str) -> list[Any]:
    launches = cell.measured.launches
    samples = np.concatenate([np.asarray(launch.samples_ns) for launch in launches]) / 1e6
    p10, p25, p50, p75, p90 = (float(q) for q in np.quantile(samples, (0.1, 0.25, 0.5, 0.75, 0.9)))
    box = go.Box(
        y=[place],
        q1=[p25],
        median=[p50],
        q3=[p75],
        lowerfence=[p10],
        upperfence=[p90],
        orientation="h",
        width=0.34,
        name=cell.label,
        line={"color": color, "width": 1.5},
        fillcolor=_CLEAR,
        hoverinfo="skip",
    )
    medians = [median / 1e6 for median in cell.latency.medians_ns]
    points = go.Scatter(
        x=medians,
        y=[place + 0.3] * len(medians),
        mode="markers",
        marker={"symbol": "line-ns", "size": 11, "line": {"width": 2, "color": color}},
        opacity=0.65,
        customdata=[[i + 1, len(launch.samples_ns)] for i, launch in enumerate(launches)],
        hovertemplate="launch %{customdata[0]}: median %{x:.3f} ms of %{customdata[1]} samples"
        "<extra></extra>",
    )
    one = cell.latency
    low, high = (
        (one.interval.low_ns, one.interval.high_ns) if one.interval else (one.estimate_ns,) * 2
    )
    estimate = go.Scatter(
        x=[one.estimate_ns / 1e6],
        y=[place - 0.32],
        mode="markers",
        marker={"symbol": "diamond", "size": 9, "color": color},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(high - one.estimate_ns) / 1e6],
            "arrayminus": [(one.estimate_ns - low) / 1e6],
            "color": color,
            "thickness": 2.5,
            "width": 5,
        },
        hovertemplate=f"latency %{{x:.3f}} ms, 95 % interval: {text.interval(one.interval)}"
        "<extra></extra>",
    )
    return [box, points, estimate]


def kinds(network: Network) -> go.Figure:
    """Draw one bar a cell: its latency without the profiler, made up of op kinds and the rest."""
    profiled = network.profiled
    figure = go.Figure(
        layout=layout(
            64 + 46 * len(profiled),
            barmode="relative",
            bargap=0.35,
            showlegend=False,  # the table below the picture has the colours
        )
    )
    for row in patterns(network):
        marker: dict[str, Any] = {"color": KIND_COLORS[row.kind]}
        if row.kind is None:
            marker["pattern"] = {"shape": "/", "fgcolor": "rgba(60,66,80,.55)", "size": 6}
        entries = [(cell, e) for (cell, _), e in zip(profiled, row.entries, strict=True) if e]
        figure.add_bar(
            orientation="h",
            name=row.name,
            y=[cell.label for cell, _ in entries],
            x=[entry.ns / 1e6 for _, entry in entries],
            marker=marker,
            customdata=[[100 * entry.share, entry.ops] for _, entry in entries],
            text=[f"{entry.share:.0%}" if entry.share >= 0.05 else "" for _, entry in entries],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont={"color": "#1c2230" if row.kind in _PALE else "white", "size": 12},
            textangle=0,
            hovertemplate=f"<b>{row.name}</b><br>%{{x:.3f}} ms · %{{customdata[0]:.1f}} % · "
            "%{customdata[1]} ops<extra>%{y}</extra>",
        )
    figure.update_xaxes(axis("ms"))
    figure.update_yaxes(axis("", gridcolor=_CLEAR, autorange="reversed"))
    return figure


def icicle(name: str, breakdown: Breakdown) -> go.Figure:
    """Draw the modules of the network, each as wide as the time spent inside it."""
    rows = breakdown.modules
    figure = go.Figure(layout=layout(380))
    figure.update_layout(
        margin={"l": 0, "r": 0, "t": 4, "b": 4}, uniformtext={"minsize": 9, "mode": "hide"}
    )
    figure.add_icicle(
        # The root's path is empty, and so is Plotly's word for "no parent".
        ids=[f"/{row.path}" for row in rows],
        parents=[f"/{row.path.rpartition('.')[0]}" if row.path else "" for row in rows],
        labels=[_short_name(row.path) or name for row in rows],
        # Own times, which Plotly adds up, rather than totals: with totals, the last bit of a
        # floating-point sum decides whether it draws anything.
        values=[max(row.own_ns, 0.0) / 1e6 for row in rows],
        branchvalues="remainder",
        marker={
            "colors": [row.share for row in rows],
            "colorscale": [[0, "#dfe7f7"], [0.12, "#9dbbf0"], [0.5, "#4a7fe0"], [1, "#2b5fc7"]],
            "cmin": 0,
            "cmax": 1,
            "line": {"width": 1, "color": "rgba(255,255,255,.6)"},
        },
        customdata=[
            [row.path or name, row.time.ns / 1e6, 100 * row.share, row.line] for row in rows
        ],
        texttemplate="%{label}<br>%{customdata[1]:.2f} ms",
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]:.3f} ms · "
        "%{customdata[2]:.1f} %<br>%{customdata[3]}<extra></extra>",
        sort=False,
        tiling={"orientation": "v", "pad": 1},
        pathbar={"visible": True, "thickness": 22},
        maxdepth=5,
    )
    return figure


def _short_name(path: str) -> str:
    """Return the last part of a path; a bare number says nothing, so its holder comes along."""
    holder, _, last = path.rpartition(".")
    return f"{holder.rpartition('.')[2]}.{last}" if last.isdigit() and holder else last


def rooflines(network: Network) -> go.Figure:
    """Draw the ops of every profiled cell under the best that an op of the same run achieved."""
    figure = go.Figure(
        layout=layout(460, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    )
    figure.update_layout(margin={"t": 40})
    for place, cell in enumerate(network.cells):
        if cell.roofline is not None:
            color = CELL_COLORS[place % len(CELL_COLORS)]
            figure.add_traces(_roofline_traces(cell, color))
    figure.update_xaxes(axis("FLOPs per byte", type="log", dtick="D2"))
    figure.update_yaxes(axis("GFLOP/s achieved", type="log", dtick="D2"))
    return figure


def _roofline_traces(cell: Cell, color: str) -> list[Any]:
    roof = cell.roofline
    assert roof is not None
    group = {"legendgroup": cell.label, "name": cell.label}
    intensities = [point.intensity for point in roof.points]
    knee = roof.peak_flops_per_s / roof.peak_bytes_per_s
    corners = sorted({min(*intensities, knee) / 1.3, knee, max(*intensities, knee) * 1.3})
    line = go.Scatter(
        x=corners,
        y=[roof.roof_at(intensity) / 1e9 for intensity in corners],
        mode="lines",
        line={"color": color, "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
        **group,
    )
    points = go.Scatter(
        x=intensities,
        y=[point.flops_per_s / 1e9 for point in roof.points],
        mode="markers",
        marker={
            "color": color,
            "opacity": 0.6,
            "line": {"width": 0},
            # Area goes with the share of time, so that a large far-away dot is what to look at.
            "size": [5 + 60 * math.sqrt(max(point.row.share, 0) / 4) for point in roof.points],
        },
        customdata=[
            [
                point.row.op.executed.type,
                point.row.op.module,
                point.row.time.ns / 1e6,
                100 * point.row.share,
                100 * point.of_roof,
                str(point.row.op.kind),
            ]
            for point in roof.points
        ],
        hovertemplate="<b>%{customdata[1]}</b><br>%{customdata[5]} (%{customdata[0]})<br>"
        "%{customdata[2]:.3f} ms · %{customdata[3]:.1f} % of the time<br>"
        "%{y:.1f} GFLOP/s · %{customdata[4]:.0f} % of the visible roof<extra>"
        f"{cell.label}</extra>",
        **group,
    )
    return [line, points]
