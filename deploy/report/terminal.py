"""The short form of the report: a few tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from groundspeed.deploy.feedback.breakdown import Breakdown
from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.report import findings, tables
from groundspeed.deploy.report.across_table import across_table
from groundspeed.deploy.report.conditions import warnings
from groundspeed.deploy.report.content import Cell, Network, ReportData, networks
from groundspeed.deploy.report.correctness import (
    ScoredCell,
    about,
    evaluation,
    noise,
    scored_cells,
    share,
)
from groundspeed.deploy.report.guidelines_terminal import verdicts
from groundspeed.deploy.report.integers import IntegerCell, integer_cells, ratio_text
from groundspeed.deploy.report.text import interval, ms, percent, threads
from groundspeed.units import bytes_text

COSTLIEST_OPS = 5
COSTLIEST_ROWS = 12


def summary(data: ReportData) -> Group:
    """Return what a :class:`rich.console.Console` prints: the page's figures without its detail."""
    return Group(*_parts(data))


def _parts(data: ReportData) -> Iterator[RenderableType]:
    for network in networks(data):
        if network.cells:
            yield _headline(network)
        if scored := scored_cells(network):
            yield _accuracy(network, scored)
        if cells := integer_cells(network):
            yield _integers(cells)
            for one in cells:
                if one.is_slower:
                    yield Text(f"{one.name} is slower than fp32: {_culprit(one)}", style="red")
        for cell, found in network.explained:
            yield from _findings(cell, found)
        if network.explained and network.across:
            yield Text(f"\n{network.name} line by line", style="bold")
            yield across_table(network.across, network=network.name, most=COSTLIEST_ROWS)
        if network.profiled:
            yield _kinds(network)
        for cell, breakdown in network.profiled:
            yield _ops(cell, breakdown)
    if data.guidelines is not None:
        yield verdicts(data.guidelines.tables)
    for failure in data.failures:
        yield Text(f"not had: {failure.network}, {failure.what}: {failure.reason}", style="red")
    for sentence in warnings(data):
        yield Text(f"note: {sentence}", style="yellow")


def _table(title: str, first: str, *others: str) -> Table:
    # Names are the user's own and may hold what rich would take for markup.
    table = Table(
        title=Text(title),
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(Text(first), overflow="fold")
    for name in others:
        table.add_column(Text(name), justify="right", no_wrap=True)
    return table


def _headline(network: Network) -> Table:
    names = ("ms", "95 % interval", "ratio", "first run", "load", "memory", "file")
    table = _table(f"\n{network.name}: latency{_common(network)}", "runtime", *names)
    for cell in network.cells:
        memory = cell.peak_memory_bytes
        table.add_row(
            cell.label,
            Text(ms(cell.latency.estimate_ns), style="bold green" if cell.ratio == 1 else "bold"),
            interval(cell.latency.interval),
            f"{cell.ratio:.2f}",
            ms(cell.first_run_ns),
            ms(cell.load_ns),
            "unknown" if memory is None else bytes_text(memory),
            bytes_text(cell.file_bytes),
        )
    return table


def _common(network: Network) -> str:
    """Return what the labels leave out because all cells have it: " (fp32, 1 thread)"."""
    measured = [cell.measured for cell in network.cells]
    common = [{one.precision for one in measured}, {threads(one.threads) for one in measured}]
    words = ", ".join(word for words in common if len(words) == 1 for word in words)
    return f" ({words})" if words else ""


def _accuracy(network: Network, cells: Sequence[ScoredCell]) -> Table:
    names = ("ms", "file", "top-1 [95 %]", "top-5", "agreement [95 %]", "SQNR, dB")
    found = evaluation(network)
    on = f" on {about(found)}" if found else ""
    table = _table(f"\nAccuracy{on}", "runtime", *names)
    for one in cells:
        size = bytes_text(one.cell.file_bytes)
        row = (one.cell.label, ms(one.cell.latency.estimate_ns), size)
        scored = one.scored
        if scored is None:  # why is said below
            table.add_row(*row, "failed", style="red")
            continue
        top5 = "" if scored.top5 is None else percent(scored.top5.value)
        table.add_row(*row, share(scored.top1), top5, share(scored.agreement), noise(scored))
    return table


def _integers(cells: Sequence[IntegerCell]) -> Table:
    names = ("÷ fp32", "file ÷ fp32", "max error", "same top-1")
    table = _table("\nIntegers against fp32 in the same runtime", "runtime", *names)
    for one in cells:
        table.add_row(
            Text(one.name),
            ratio_text(one.ratio),
            "no float file" if one.size_ratio is None else f"{one.size_ratio:.2f}",
            "not checked" if one.parity_error is None else percent(one.parity_error),
            "" if one.same_top1 is None else percent(one.same_top1),
            style="red" if one.is_slower else None,
        )
    return table


def _culprit(one: IntegerCell) -> str:
    """Return what an integer file loses most time by."""
    if one.blame is None:
        return "profile both to see why"
    lost = {each.what: each.ns - each.float_ns for each in one.blame.overheads}
    network = one.cell.measured.network
    lost |= {each.module or network: each.ns - each.float_ns for each in one.blame.slower}
    worst = max(lost, key=lambda what: lost[what], default="")
    if not worst or lost[worst] <= 0:
        return "no op of it takes longer"
    return f"{ms(lost[worst])} ms more in {worst}"


def _findings(cell: Cell, found: Sequence[Finding]) -> Iterator[RenderableType]:
    shown = findings.rows(tuple(found), least=findings.NOTABLE)
    if not shown:
        yield Text(f"\nNo pattern costs {cell.label} a notable time", style="bold")
        return
    first, *others = findings.HEADINGS
    table = _table(f"\nWhat costs time without need in {cell.label}", first, *others)
    for row in shown:
        table.add_row(Text(row.name), *row.cells)
    yield table
    for row in shown:
        yield Text.assemble((row.name, "bold"), f": {row.where}")
        for note in row.notes:
            yield Padding(Text(note), (0, 0, 0, 2))
    for reason, names in findings.untried(found).items():
        yield Text(f"not measured: {', '.join(names)}: {reason}", style="yellow")


def _kinds(network: Network) -> Table:
    labels = [f"{cell.label}, ms" for cell, _ in network.profiled]
    table = _table("\nTime by op kind", "op kind", *labels)
    for row in tables.patterns(network):
        entries = [
            f"{ms(entry.ns)} {percent(entry.share):>7}" if entry else "" for entry in row.entries
        ]
        table.add_row(row.name, *entries)
    plain = [f"{ms(breakdown.plain.ns)} {percent(1.0):>7}" for _, breakdown in network.profiled]
    table.add_row("without the profiler", *plain, style="bold")
    closure = [f"{breakdown.closure:.3f}" for _, breakdown in network.profiled]
    table.add_row("sum of all ops ÷ end to end", *closure, style="dim")
    coverage = [percent(breakdown.coverage) for _, breakdown in network.profiled]
    table.add_row("of it tied to the network", *coverage, style="dim")
    return table


def _ops(cell: Cell, breakdown: Breakdown) -> Table:
    title = f"\nCostliest ops in {cell.label} ({len(breakdown.ops)} executed)"
    table = _table(title, "module", "op kind", "ms", "share", "GFLOP/s")
    for row in sorted(breakdown.ops, key=lambda row: -row.time.ns)[:COSTLIEST_OPS]:
        table.add_row(
            Text(row.op.module or cell.measured.network),
            str(row.op.kind),
            ms(row.time.ns),
            percent(row.share),
            "" if row.flops_per_s is None else f"{row.flops_per_s / 1e9:.1f}",
        )
    return table
