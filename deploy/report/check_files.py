"""The files that a gate's verdicts can be written to, by the option that asks for each."""

from __future__ import annotations

from collections.abc import Callable

from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_bencher import bencher
from groundspeed.deploy.report.check_benchmark_action import benchmark_action
from groundspeed.deploy.report.check_junit import junit
from groundspeed.deploy.report.check_markdown import markdown
from groundspeed.deploy.report.check_page import page
from groundspeed.deploy.report.check_sarif import sarif

FILES: dict[str, Callable[[Judged], str]] = {
    "bencher": bencher,
    "benchmark_action": benchmark_action,
    "junit": junit,
    "markdown": markdown,
    "report": page,
    "sarif": sarif,
}
