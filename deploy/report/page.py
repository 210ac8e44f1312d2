"""The report as one HTML file that opens from disk, with no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from groundspeed.deploy.report import (
    accuracy_chart,
    across_table,
    charts,
    conditions,
    correctness,
    findings,
    guidelines,
    integer_charts,
    integers,
    tables,
    text,
)
from groundspeed.deploy.report.content import ReportData, networks
from groundspeed.documents import write_atomically
from groundspeed.units import bytes_text, count_text


def write_page(data: ReportData, path: Path) -> None:
    """Write the report to ``path``, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(path, page(data))


def page(data: ReportData) -> str:
    """Return the report as the text of one HTML document."""
    return render("report.html", data=data, networks=networks(data))


def render(template: str, **values: Any) -> str:
    """Return a page from one of the templates here, with the library that draws its pictures."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("groundspeed.deploy.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ms=text.ms,
        interval=text.interval,
        percent=text.percent,
        giga=text.giga,
        short=text.short,
        threads=text.threads,
        bytes=bytes_text,
        count=count_text,
    )
    environment.globals.update(
        accuracy_chart=accuracy_chart,
        across_table=across_table,
        figure=_figure,
        charts=charts,
        conditions=conditions,
        correctness=correctness,
        findings=findings,
        guidelines=guidelines,
        integer_charts=integer_charts,
        integers=integers,
        tables=tables,
        zip=zip,
    )
    # One library for all pictures; without it the page would be 50 kB instead of 5 MB, and dead.
    return environment.get_template(template).render(**values, plotlyjs=get_plotlyjs())


def _figure(figure: go.Figure) -> dict[str, Any]:
    """Return a figure as plain values, which the template writes as escaped JSON."""
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain
