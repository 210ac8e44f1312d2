"""A gate's verdicts as one HTML file, with a picture of the pairs of each comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]

from groundspeed import __version__
from groundspeed.deploy.gate.comparing import Comparison, log_ratios
from groundspeed.deploy.gate.decision import Rules, sequential_test
from groundspeed.deploy.gate.evidence import Evidence
from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report import check_text
from groundspeed.deploy.report.charts import CELL_COLORS, axis, layout
from groundspeed.deploy.report.from_run import report_data
from groundspeed.deploy.report.page import render

_MARGIN = "#d9435b"


def page(judged: Judged) -> str:
    """Return the text of the HTML document."""
    measured = [one for one in judged.comparisons if one.result is not None]
    return render(
        "check.html",
        judged=judged,
        said=check_text,
        version=__version__,
        reports=[(one, report_data(one.result)) for one in measured if one.result],
        picture=lambda one: picture(one, judged.rules),
    )


def picture(comparison: Comparison, rules: Rules) -> go.Figure:
    """Draw the change that each pair shows, and the limits at each look.

    Args:
        comparison: one with launches.
        rules: how it was judged.
    """
    assert comparison.result is not None
    old, new = comparison.result.cells
    logs = log_ratios(old.medians_ns, new.medians_ns)
    figure = go.Figure(
        layout=layout(300, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    )
    figure.update_layout(margin={"t": 40})
    figure.add_scatter(
        x=list(range(1, len(logs) + 1)),
        y=[_percent(each) for each in logs],
        mode="markers",
        name="a pair",
        marker={"color": CELL_COLORS[0], "size": 7},
        hovertemplate="pair %{x}: %{y:+.2f} %<extra></extra>",
    )
    _add_looks(figure, _looks(comparison, logs, rules))
    figure.add_hline(100 * rules.margin, line={"color": _MARGIN, "dash": "dash", "width": 1.5})
    figure.add_hline(0.0, line={"color": "#8b919c", "width": 1})
    figure.update_xaxes(axis("pair, in the order measured", rangemode="tozero"))
    figure.update_yaxes(axis("candidate's latency, % beyond the baseline's"))
    return figure


def _looks(comparison: Comparison, logs: Sequence[float], rules: Rules) -> list[Evidence]:
    """Return the evidence at each look, as it was when the comparison came to it."""
    assert comparison.evidence is not None
    test, level = sequential_test(rules), comparison.evidence.level
    return [
        test.examine(logs[:look], most=rules.pairs, level=level)
        for look in test.looks(rules.pairs)
        if look <= len(logs)
    ]


def _add_looks(figure: go.Figure, looks: Sequence[Evidence]) -> None:
    seen = [each for each in looks if math.isfinite(each.low) and math.isfinite(each.high)]
    estimates = [_percent(each.estimate) for each in seen]
    figure.add_scatter(
        x=[each.pairs for each in seen],
        y=estimates,
        mode="markers",
        name="all pairs until a look, with limits that hold at all looks",
        marker={"color": CELL_COLORS[1], "size": 10, "symbol": "diamond"},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [_percent(each.high) - at for each, at in zip(seen, estimates, strict=True)],
            "arrayminus": [
                at - _percent(each.low) for each, at in zip(seen, estimates, strict=True)
            ],
        },
        hovertemplate="after %{x} pairs: %{y:+.2f} %<extra></extra>",
    )


def _percent(logarithm: float) -> float:
    return 100 * math.expm1(logarithm)
