"""The guidelines as a device sees them, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from groundspeed.deploy.feedback.guidelines.measure import Remeasured
from groundspeed.deploy.feedback.guidelines.tables import Table
from groundspeed.deploy.feedback.guidelines.verdict import Verdict
from groundspeed.deploy.report.conditions import warnings
from groundspeed.deploy.report.from_run import report_data
from groundspeed.deploy.report.guidelines import HEADINGS, cells, sentences, summary, title, way

_STYLES = {
    Verdict.HOLDS: "green",
    Verdict.DOES_NOT_HOLD: "red",
    Verdict.INCONCLUSIVE: "yellow",
}


def terminal(remeasured: Remeasured) -> Group:
    """Return what a :class:`rich.console.Console` prints."""
    return Group(*_parts(remeasured))


def _parts(remeasured: Remeasured) -> Iterator[RenderableType]:
    for table in remeasured.tables:
        yield Text(f"\n{title(table)}: {way(table)}", style="bold")
        yield _rows(table)
        first, *others = sentences(table)
        yield Text(first, style=_STYLES[table.verdict])
        yield from map(Text, others)
    yield verdicts(remeasured.tables)
    for sentence in warnings(report_data(remeasured.result)):
        yield Text(f"note: {sentence}", style="yellow")


def _rows(table: Table) -> RichTable:
    found = _table("variant", *HEADINGS)
    for row in table.rows:
        found.add_row(row.variant.name, *cells(row), style="bold" if row.is_exception else "")
    return found


def verdicts(tables: Iterable[Table]) -> RichTable:
    """Return the verdict on each guideline in each way that was measured."""
    ways, said_of = summary(tables)
    found = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("\nGuidelines", *(f"\n{one}" for one in ways)):
        found.add_column(name, overflow="fold")
    for name, said in said_of.items():
        found.add_row(name, *said)
    return found


def _table(first: str, *others: str) -> RichTable:
    table = RichTable(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(Text(name), justify="right", no_wrap=True)
    return table
