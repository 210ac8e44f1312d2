"""The same work on several devices, in one table."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from groundspeed.deploy.report.content import Measured, reservation
from groundspeed.deploy.report.from_run import report_data
from groundspeed.deploy.report.text import interval, ms, threads
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.statistics import latency


def side_by_side(runs: Mapping[str, RunResult]) -> Table:
    """Return a table with a row for each thing measured, and a column for each device.

    Args:
        runs: device -> what was measured there.
    """
    table = Table(box=None, pad_edge=False, title="ms [95 % interval]", title_justify="left")
    for name in ("network", "in"):
        table.add_column(name, overflow="fold")
    entries: dict[tuple[str, str], dict[str, str]] = {}
    for device, result in runs.items():
        table.add_column(Text(device), justify="right")
        for measured in report_data(result).measured:
            entries.setdefault(_row(measured), {})[device] = _entry(measured)
    for row, found in entries.items():
        table.add_row(*map(Text, row), *(found.get(device, "not had") for device in runs))
    return table


def _row(measured: Measured) -> tuple[str, str]:
    how = (measured.runtime, measured.precision, threads(measured.threads))
    return measured.network, " · ".join(how)


def _entry(measured: Measured) -> str:
    found = latency(measured.launches)
    words = f"{ms(found.estimate_ns)} ({interval(found.interval)})"
    return " · ".join(filter(None, (words, reservation(measured))))
