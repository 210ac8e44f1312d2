"""The guidelines as a device sees them, as one HTML file with a picture for each experiment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from groundspeed.deploy.feedback.guidelines.measure import Remeasured
from groundspeed.deploy.feedback.guidelines.tables import Table
from groundspeed.deploy.report import guidelines
from groundspeed.deploy.report.charts import CELL_COLORS, axis, layout
from groundspeed.deploy.report.from_run import report_data
from groundspeed.deploy.report.page import render
from groundspeed.documents import write_atomically

_SYMBOLS = ("diamond-open", "square-open")


def write_page(remeasured: Remeasured) -> None:
    """Write the page to where it belongs, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(remeasured.page, page(remeasured))


def page(remeasured: Remeasured) -> str:
    """Return the text of the HTML document."""
    experiments = [
        (name, list(tables)) for name, tables in groupby(remeasured.tables, guidelines.title)
    ]
    return render(
        "guidelines.html",
        data=report_data(remeasured.result),
        device=remeasured.result.run.plan.target,
        tables=remeasured.tables,
        experiments=experiments,
        picture=picture,
    )


def picture(tables: Sequence[Table]) -> go.Figure:
    """Draw the speed per MAC of an experiment's variants, ours as bars and the paper's as marks.

    Args:
        tables: of one experiment at one width.
    """
    figure = go.Figure(
        layout=layout(
            340, barmode="group", legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
        )
    )
    figure.update_layout(margin={"t": 40})
    for place, table in enumerate(tables):
        figure.add_trace(_bars(table, CELL_COLORS[place % len(CELL_COLORS)]))
    first = tables[0]
    for (column, device), symbol in zip(guidelines.PAPER.items(), _SYMBOLS, strict=True):
        figure.add_scatter(
            x=[row.variant.name for row in first.rows],
            y=[
                first.experiment.speed_per_mac(row.variant, column, first.width)
                for row in first.rows
            ],
            mode="markers",
            name=f"the paper's {device}",
            marker={"symbol": symbol, "size": 11, "color": "#8b919c", "line": {"width": 2}},
            hovertemplate="%{x}: %{y:.2f}<extra>the paper's " + device + "</extra>",
        )
    figure.update_yaxes(axis("speed per MAC", rangemode="tozero"))
    figure.update_xaxes(axis(""))
    return figure


def _bars(table: Table, color: str) -> Any:
    rows = [(row, row.speed_per_mac) for row in table.rows if row.speed_per_mac is not None]
    found = [estimate for _, estimate in rows]
    return go.Bar(
        x=[row.variant.name for row, _ in rows],
        y=[estimate.value for estimate in found],
        name=guidelines.way(table),
        marker={"color": color},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [(one.high or one.value) - one.value for one in found],
            "arrayminus": [one.value - (one.low or one.value) for one in found],
            "thickness": 1.5,
        },
        hovertemplate="%{x}: %{y:.2f}<extra>" + guidelines.way(table) + "</extra>",
    )
