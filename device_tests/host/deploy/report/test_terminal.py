from __future__ import annotations

import io

from rich.console import Console

from groundspeed.deploy.report.content import ReportData
from groundspeed.deploy.report.terminal import summary


def printed(data: ReportData, width: int = 120) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(summary(data))
    return output.getvalue()


def test_the_short_form_has_the_figures(data: ReportData) -> None:
    text = printed(data)
    headline = next(line for line in text.splitlines() if line.startswith("ncnn"))
    assert headline.split()[1] == "3.00"
    assert "(fp32, 1 thread)" in text
    assert "1.50" in headline
    assert "unknown" in headline  # the peak memory, which could not be read
    assert "dispatch and unexplained" in text
    assert "0.875" in text  # sum of all ops over end to end
    assert "export to litert, fp32: no <op>" in text


def test_a_single_launch_has_no_interval(busy: ReportData) -> None:
    assert "one launch" in printed(busy)
    assert "load average" in printed(busy)


def test_a_name_that_looks_like_markup_is_printed_as_it_is(busy: ReportData) -> None:
    (one,) = busy.measured
    odd = type(one)(**{**vars(one), "network": "[red]net[/]"})
    assert "[red]net[/]" in printed(ReportData(measured=(odd,)))
