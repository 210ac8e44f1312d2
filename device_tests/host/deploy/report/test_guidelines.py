"""The guidelines in words, on a terminal, as Markdown and as a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console

from device_tests.host.deploy.feedback.guidelines.made_up import Timing, at_rate, noise, run
from groundspeed.deploy.feedback.guidelines.asked import Asked, Subject
from groundspeed.deploy.feedback.guidelines.measure import Remeasured
from groundspeed.deploy.feedback.guidelines.stored import Answered
from groundspeed.deploy.feedback.guidelines.tables import tables
from groundspeed.deploy.report.content import ReportData
from groundspeed.deploy.report.guidelines import cells, sentences, summary
from groundspeed.deploy.report.guidelines_markdown import markdown
from groundspeed.deploy.report.guidelines_page import page, picture, write_page
from groundspeed.deploy.report.guidelines_terminal import terminal
from groundspeed.deploy.report.markdown import markdown as as_markdown
from groundspeed.deploy.report.page import page as as_page
from groundspeed.deploy.report.terminal import summary as short


def one_device(subject: Subject, round: int) -> float | None:
    """Groups cost nothing, 4-series is fast, element-wise ops cost, and 1:12 crashes."""
    if subject.variant.name == "1:12":
        return None
    factor = {"4-series": 0.7, "ReLU": 1.1, "shortcut": 1.1, "both": 1.2}
    own = factor.get(subject.variant.name, 1.0)
    return at_rate(subject) * own * noise(subject, round, 0.005)


def remeasured(timing: Timing = one_device, folder: Path = Path(), **more: int) -> Remeasured:
    asked = Asked()
    result = run(asked, timing, **more)
    return Remeasured(
        asked=asked, result=result, tables=tables(result, asked), page=folder / "page.html"
    )


def test_the_words_name_what_contradicts_the_paper_what_is_excepted_and_what_failed() -> None:
    pairs, groups, fragments, bottlenecks = (sentences(one) for one in remeasured().tables)
    assert pairs[-1] == "1:12 was not had: it crashed"
    assert groups[0].startswith("G2 does not hold in fast, fp32, 1 thread: each doubling of the")
    assert groups[0].endswith("That contradicts what the paper measured on its Snapdragon 810.")
    assert fragments[1].startswith("An exception: 4-series is 1.43 [")
    assert fragments[1].endswith(
        "times as fast as 1-fragment, MACs being equal; it is 0.96 on the paper's Snapdragon 810."
    )
    assert bottlenecks[0].startswith("G4 holds")
    assert "in the paper by +8.1 % on its Snapdragon 810" in bottlenecks[0]
    assert "contradicts" not in bottlenecks[0]


def test_a_run_that_ended_early_says_how_many_rounds_a_verdict_needs() -> None:
    early = remeasured(rounds=3).tables[1]
    assert sentences(early)[0].startswith("G2 is inconclusive")
    assert "A verdict needs 5 rounds." in sentences(early)[0]


def test_a_run_without_a_launch_has_words_too() -> None:
    broken = remeasured(lambda subject, round: None)
    assert "no round has both" in sentences(broken.tables[0])[0]
    assert cells(broken.tables[0].rows[0]) == ("64.2 M", "", "", "", "", "1.00", "1.00")
    assert "inconclusive" in markdown(broken)
    assert "1:1 was not had: it crashed" in page(broken)


def test_the_summary_has_a_verdict_for_each_experiment_and_way() -> None:
    ways, verdicts = summary(remeasured().tables)
    assert ways == ["fast, fp32, 1 thread"]
    words = [said for (said,) in verdicts.values()]
    assert re.fullmatch(r"does not hold \([+\N{MINUS SIGN}]0\.\d %\)", words[1])
    assert words[2].endswith(", with exceptions")
    assert words[3].startswith("holds (+")


def test_a_terminal_of_80_columns_shows_all_figures() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(terminal(remeasured()))
    text = capture.get()
    assert "…" not in text
    assert "paper: ARM" in text
    assert re.search(r"8 groups +133 M +[\d.]+ +\S+ +[\d.]+ +[\d.]+ \[\S+\] +0\.70 +0\.26", text)


def test_markdown_has_a_table_for_each_experiment() -> None:
    text = markdown(remeasured())
    assert text.count("\n## G") == 4
    assert "Made by `groundspeed guidelines`" in text


def test_the_page_has_a_picture_for_each_experiment(tmp_path: Path) -> None:
    written = remeasured(folder=tmp_path)
    write_page(written)
    text = written.page.read_text()
    assert text.count('class="figure"') == 4
    assert "That contradicts what the paper measured" in text
    assert 'id="conditions"' in text


def test_the_picture_shows_what_was_measured_beside_the_paper() -> None:
    groups = remeasured().tables[1]
    ours, arm, gpu = picture([groups]).data
    assert list(ours.x) == ["1 group", "2 groups", "4 groups", "8 groups"]
    assert list(ours.y) == pytest.approx([1, 1, 1, 1], abs=0.01)
    assert list(arm.y)[:2] == pytest.approx([1, 35.0 / 40.0 * 8100 / 2 / 4096])
    assert gpu.name == "the paper's GTX 1080 Ti"


def test_the_report_of_a_network_shows_what_its_device_said() -> None:
    answered = remeasured()
    data = ReportData(
        measured=(), guidelines=Answered(run=answered.result.run, tables=answered.tables)
    )
    words = "does not hold"
    assert words in as_page(data).partition('id="guidelines"')[2]
    text = as_markdown(data)
    assert words in text
    assert "Measured by `groundspeed guidelines`" in text
    console = Console(width=80)
    with console.capture() as capture:
        console.print(short(data))
    assert words in capture.get()
    assert 'id="guidelines"' not in as_page(ReportData(measured=()))
