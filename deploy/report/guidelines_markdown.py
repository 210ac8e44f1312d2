"""The guidelines as a device sees them, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed import __version__
from groundspeed.deploy.feedback.guidelines.measure import Remeasured
from groundspeed.deploy.report.conditions import warnings
from groundspeed.deploy.report.from_run import report_data
from groundspeed.deploy.report.guidelines import HEADINGS, cells, sentences, summary, title, way


def markdown(remeasured: Remeasured) -> str:
    """Return all tables and verdicts as the text of a Markdown document."""
    return "\n".join(_lines(remeasured)) + "\n"


def _lines(remeasured: Remeasured) -> Iterator[str]:
    ways, verdicts = summary(remeasured.tables)
    yield f"# The guidelines on {remeasured.result.run.plan.target}"
    yield ""
    yield from _table(("experiment", *ways), [(name, *said) for name, said in verdicts.items()])
    for table in remeasured.tables:
        yield ""
        yield f"## {title(table)}: {way(table)}"
        yield ""
        rows = [(row.variant.name, *cells(row)) for row in table.rows]
        yield from _table(("variant", *HEADINGS), rows)
        yield ""
        yield from sentences(table)
    yield ""
    yield from (f"> {sentence}" for sentence in warnings(report_data(remeasured.result)))
    run = remeasured.result.run
    yield f"Made by `{run.command}`, Groundspeed {__version__}, {run.started_at}."


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---", *["---:"] * (len(head) - 1)])
    yield from map(_line, rows)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
