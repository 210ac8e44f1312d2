"""Findings in all three forms, where what they must say is known."""

from __future__ import annotations

import io
import re

from rich.console import Console

from groundspeed.deploy.report.content import ReportData
from groundspeed.deploy.report.findings import NOTABLE, rows
from groundspeed.deploy.report.markdown import markdown
from groundspeed.deploy.report.page import page
from groundspeed.deploy.report.terminal import summary


def found(data: ReportData) -> tuple[str, ...]:
    findings = data.measured[0].findings
    assert findings is not None
    return tuple(row.name for row in rows(findings))


def printed(data: ReportData) -> str:
    output = io.StringIO()
    Console(file=output, width=150).print(summary(data))
    return output.getvalue()


def test_what_was_measured_ranks_before_what_the_profile_says(explained: ReportData) -> None:
    assert found(explained) == ("believed (G4)", "contradicted (G4)", "small (G4)")


def test_what_costs_next_to_nothing_is_left_out_of_the_terminal(explained: ReportData) -> None:
    text = printed(explained)
    assert "believed (G4)" in text
    assert "small (G4)" not in text
    assert NOTABLE * 2 > 0.002 / 2


def test_a_contradiction_is_told(explained: ReportData) -> None:
    for text in (printed(explained), markdown(explained), page(explained)):
        flat = re.sub(r"\s+", " ", text)
        assert flat.count("believe the measurement") == 1
        assert "the profile says 0.300 ms of the same places" in flat


def test_why_something_was_not_measured_is_told(explained: ReportData) -> None:
    for text in (printed(explained), markdown(explained), page(explained)):
        flat = re.sub(r"\s+", " ", text)
        assert flat.lower().count("not measured: small: the budget has no time") == 1


def test_both_costs_stand_side_by_side(explained: ReportData) -> None:
    line = next(line for line in printed(explained).splitlines() if line.startswith("believed"))
    assert line.split()[2:5] == ["5", "0.200", "10.0"]
    assert "0.210 [0.190\N{EN DASH}0.230]" in line


def test_a_network_without_patterns_is_told_from_one_that_nobody_searched(
    data: ReportData, explained: ReportData
) -> None:
    assert "No pattern costs ncnn a notable time" in printed(explained)
    assert "pattern costs" not in printed(data)
    assert "None of the known patterns was found." in markdown(explained)
    assert "None of the known patterns was found." not in markdown(data)


def test_the_page_names_every_place_with_its_line(explained: ReportData) -> None:
    text = page(explained)
    assert all(f"net.py:{n}" in text for n in range(5))
    assert "use &lt;fewer&gt;" in text


def test_names_cannot_break_a_markdown_table(explained: ReportData) -> None:
    text = markdown(explained)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {8}
    assert "# net\\<1\\>" in text
