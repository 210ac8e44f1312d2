"""What costs time without need, as Markdown for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator

from groundspeed.deploy.feedback.guidelines.stored import Answered
from groundspeed.deploy.report.conditions import warnings
from groundspeed.deploy.report.content import Network, ReportData, networks
from groundspeed.deploy.report.findings import HEADINGS, rows, untried
from groundspeed.deploy.report.guidelines import summary
from groundspeed.deploy.report.text import interval, ms


def markdown(data: ReportData) -> str:
    """Return the latencies and findings of a run as the text of a Markdown document."""
    lines = [line for network in networks(data) for line in _network(network)]
    if data.guidelines is not None:
        lines += _guidelines(data.guidelines)
    lines += [f"> {sentence}" for sentence in warnings(data)]
    if data.command:
        lines += ["", f"Made by `{data.command}`, Groundspeed {data.version}, {data.made_at}."]
    return "\n".join(lines) + "\n"


def _network(network: Network) -> Iterator[str]:
    yield f"# {_plain(network.name)}"
    for cell in network.cells:
        taken, around = ms(cell.latency.estimate_ns), interval(cell.latency.interval)
        yield ""
        yield f"## {_plain(cell.label)}: {taken} ms [{around}]"
        found = cell.measured.findings
        if found is None:
            continue
        yield ""
        if not found:
            yield "None of the known patterns was found."
            continue
        yield _line(*HEADINGS, "where")
        yield _line("---", *["---:"] * (len(HEADINGS) - 1), "---")
        table = rows(found)
        for row in table:
            yield _line(row.name, *row.cells, row.where)
        yield ""
        for row in table:
            yield f"- **{_plain(row.name)}**: {_plain('; '.join(row.notes))}"
        for reason, names in untried(found).items():
            yield f"- Not measured: {_plain(', '.join(names))}: {_plain(reason)}"
    yield ""


def _guidelines(answered: Answered) -> Iterator[str]:
    ways, verdicts = summary(answered.tables)
    yield "# The guidelines on this device"
    yield ""
    yield _line("experiment", *ways)
    yield _line("---", *["---"] * len(ways))
    for name, said in verdicts.items():
        yield _line(name, *said)
    yield ""
    yield f"Measured by `{answered.run.command}`, {answered.run.started_at}."
    yield ""


def _line(*cells: str) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Return text in which nothing is taken for markup: names are the user's own."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>|#" else letter for letter in text)
