"""The pictures of files with integers: errors of layers, and what mixed files were chosen from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from groundspeed.deploy.report.charts import CELL_COLORS, axis, layout
from groundspeed.mixing import Candidate, Mixing
from groundspeed.quantization import LayerLoss

WORST = 20


def layer_errors(losses: Sequence[LayerLoss]) -> go.Figure:
    """Draw for the worst layers what quantizing each alone does to the outputs.

    Args:
        losses: the worst first. A layer without any noise has no bar: it is infinitely far out.
    """
    shown = [loss for loss in losses if math.isfinite(loss.output_sqnr_db)][:WORST]
    figure = go.Figure(layout=layout(70 + 24 * len(shown), showlegend=False, bargap=0.3))
    figure.add_bar(
        orientation="h",
        # By place, not by module: two ops of one module are two bars.
        y=list(range(len(shown))),
        x=[loss.output_sqnr_db for loss in shown],
        marker={"color": CELL_COLORS[0]},
        customdata=[[loss.module or loss.op, loss.op, f"{loss.sqnr_db:.1f}"] for loss in shown],
        hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>alone: %{x:.1f} dB at the "
        "outputs<br>its own values, all layers quantized: %{customdata[2]} dB<extra></extra>",
    )
    figure.update_xaxes(axis("signal to noise of the outputs, dB: shorter is worse"))
    figure.update_yaxes(
        axis("", gridcolor="rgba(0,0,0,0)", autorange="reversed"),
        tickvals=list(range(len(shown))),
        ticktext=[loss.module or loss.op for loss in shown],
    )
    return figure


def front(mixing: Mixing) -> go.Figure:
    """Draw the candidates of a mixed file, their Pareto front, and what was measured of them."""
    figure = go.Figure(
        layout=layout(420, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    )
    figure.update_layout(margin={"t": 40})
    candidates = mixing.candidates
    on_front = [candidates[i] for i in mixing.front]
    figure.add_trace(_predicted(candidates, len(mixing.layers)))
    figure.add_scatter(
        x=[one.drop for one in on_front],
        y=[one.predicted_ns / 1e6 for one in on_front],
        mode="lines",
        name="Pareto front",
        line={"color": CELL_COLORS[0], "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    figure.add_trace(_measured(candidates))
    chosen = candidates[mixing.chosen]
    figure.add_scatter(
        x=[chosen.drop],
        y=[chosen.predicted_ns / 1e6],
        mode="markers",
        name="chosen",
        marker={"symbol": "star", "size": 15, "color": CELL_COLORS[2]},
        hoverinfo="skip",
    )
    figure.add_vline(x=mixing.max_drop, line={"dash": "dot", "width": 1, "color": "#8b919c"})
    figure.update_xaxes(axis(f"points of {mixing.judged_by} lost"))
    figure.update_yaxes(axis("latency, ms"))
    return figure


def _predicted(candidates: Sequence[Candidate], layers: int) -> Any:
    return go.Scatter(
        x=[one.drop for one in candidates],
        y=[one.predicted_ns / 1e6 for one in candidates],
        mode="markers",
        name="predicted",
        marker={"size": 8, "color": CELL_COLORS[0], "opacity": 0.5},
        customdata=[len(one.layers) for one in candidates],
        hovertemplate=f"%{{customdata}} of {layers} layers in integers<br>%{{x:.2f}} points, "
        "predicted %{y:.3f} ms<extra></extra>",
    )


def _measured(candidates: Sequence[Candidate]) -> Any:
    made = [(len(one.layers), one.measured) for one in candidates if one.measured]
    return go.Scatter(
        x=[one.drop for _, one in made],
        y=[one.mixed_ns / 1e6 for _, one in made],
        mode="markers",
        name="measured",
        marker={"symbol": "diamond", "size": 9, "color": CELL_COLORS[1]},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one.float_ns * (one.ratio.high - one.ratio.value) / 1e6 for _, one in made],
            "arrayminus": [
                one.float_ns * (one.ratio.value - one.ratio.low) / 1e6 for _, one in made
            ],
            "color": CELL_COLORS[1],
        },
        customdata=[[count, one.ratio.value, one.ratio.low, one.ratio.high] for count, one in made],
        hovertemplate="%{customdata[0]} layers in integers<br>%{x:.2f} points, measured %{y:.3f} "
        "ms<br>%{customdata[1]:.3f} of float [%{customdata[2]:.3f}, %{customdata[3]:.3f}]"
        "<extra></extra>",
    )
