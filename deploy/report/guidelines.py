"""The guidelines as a device sees them, in the words that terminal, page and Markdown share."""

from __future__ import annotations

from collections.abc import Iterable

from groundspeed.deploy.feedback.guidelines.experiment import Column
from groundspeed.deploy.feedback.guidelines.tables import Row, Table
from groundspeed.deploy.feedback.guidelines.verdict import LEAST_ROUNDS, Estimate, Verdict
from groundspeed.deploy.report.text import interval, ms, threads
from groundspeed.units import count_text

PAPER = {Column.ARM: "Snapdragon 810", Column.GPU: "GTX 1080 Ti"}
HEADINGS = ("MACs", "ms", "[95 %]", "speed", "per MAC [95 %]", "paper: ARM", "GPU")
_MINUS = "\N{MINUS SIGN}"
_DASH = "\N{EN DASH}"


def title(table: Table) -> str:
    """Return "G2, few groups in convolutions (table 2, x1)"."""
    experiment = table.experiment
    return (
        f"{experiment.guideline}, {experiment.advice} "
        f"(table {experiment.table}, {table.column} x{table.width})"
    )


def way(table: Table) -> str:
    """Return "ncnn, fp32, 1 thread"."""
    return f"{table.runtime}, {table.precision}, {threads(table.threads)}"


def cells(row: Row) -> tuple[str, ...]:
    """Return a row of a table below ``HEADINGS``; empty where nothing could be measured."""
    found = row.latency
    return (
        "" if row.macs is None else count_text(row.macs),
        "" if found is None else ms(found.estimate_ns),
        "" if found is None else interval(found.interval),
        "" if row.speed is None else f"{row.speed.value:.2f}",
        "" if row.speed_per_mac is None else _estimate(row.speed_per_mac),
        *(f"{row.paper[column]:.2f}" for column in PAPER),
    )


def sentences(table: Table) -> tuple[str, ...]:
    """Return what a table says in words: the verdict, what contradicts the paper, what failed."""
    return (
        _verdict(table),
        *(_exception(table, row) for row in table.exceptions),
        *(f"{row.variant.name} was not had: {row.failure}" for row in table.rows if row.failure),
    )


def summary(tables: Iterable[Table]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the ways that were measured, and experiment -> the verdict in each of them."""
    tables = tuple(tables)
    ways = list(dict.fromkeys(map(way, tables)))
    verdicts: dict[str, list[str]] = {}
    for table in tables:
        verdicts.setdefault(title(table), []).append(_short(table))
    return ways, verdicts


def _short(table: Table) -> str:
    words = str(table.verdict)
    if table.trend is not None:
        words += f" ({_change(table.trend.value)})"
    if table.exceptions:
        words += ", with exceptions"
    return words


def _verdict(table: Table) -> str:
    experiment = table.experiment
    words = f"{experiment.guideline} {_asserted(table.verdict)} in {way(table)}"
    if table.trend is None:
        return f"{words}: no round has both what it recommends and something else."
    there = ", ".join(
        f"{_change(table.paper_trends[column])} on its {device}" for column, device in PAPER.items()
    )
    words += f": {experiment.step} changes the time by {_change(table.trend.value)}"
    if table.trend.low is not None and table.trend.high is not None:
        words += f" [{_change(table.trend.low)}, {_change(table.trend.high)}]"
    words += f", MACs being equal ({table.rounds} rounds); in the paper by {there}."
    if table.rounds < LEAST_ROUNDS:
        words += f" A verdict needs {LEAST_ROUNDS} rounds."
    if table.contradicts:
        words += f" That contradicts what the paper measured on its {PAPER[table.column]}."
    return words


def _asserted(verdict: Verdict) -> str:
    return f"is {verdict}" if verdict is Verdict.INCONCLUSIVE else str(verdict)


def _exception(table: Table, row: Row) -> str:
    assert row.speed_per_mac is not None
    there = f"{row.paper[table.column]:.2f} on the paper's {PAPER[table.column]}"
    return (
        f"An exception: {row.variant.name} is {_estimate(row.speed_per_mac)} times as fast as "
        f"{table.experiment.recommended.name}, MACs being equal; it is {there}."
    )


def _estimate(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}{_DASH}{found.high:.2f}]"


def _change(ratio: float) -> str:
    percents = round(100 * (ratio - 1), 1) + 0.0  # never a negative zero
    return f"{percents:+.1f} %".replace("-", _MINUS)
