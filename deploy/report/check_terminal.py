"""A gate's verdicts as the terminal shows them."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from groundspeed.deploy.gate.decision import Verdict
from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_text import (
    budgets,
    change,
    executed,
    ratio,
    reason,
    title,
    trust,
    why,
)

_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}


def verdicts(judged: Judged) -> RenderableType:
    """Return a table of all comparisons, and the reason of each verdict below."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("candidate ÷ baseline", overflow="fold")
    for name in ("ratio", "pairs", "could show", "verdict"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in judged.comparisons:
        table.add_row(
            escape(title(one)),
            ratio(one),
            "" if one.evidence is None else str(one.evidence.pairs),
            "" if one.smallest is None else change(one.smallest),
            _word(one.verdict),
        )
    for name in judged.missing:
        table.add_row(escape(name), "", "", "", _word(Verdict.INCONCLUSIVE))
    reasons = [f"{title(one)}: {reason(one, judged.rules)}" for one in judged.comparisons]
    reasons += [f"{title(one)}: {budgets(one)}" for one in judged.comparisons if one.spent]
    reasons += [f"{title(one)}: {trust(one)}" for one in judged.comparisons if trust(one)]
    reasons += [f"{title(one)}: {executed(one)}" for one in judged.comparisons if executed(one)]
    for one in judged.comparisons:
        reasons += [f"{title(one)}: {words}" for words in why(one)[:1]]
        reasons += [f"  {words}" for words in why(one)[1:]]
    reasons += [f"{name}: the baseline has no such file" for name in judged.missing]
    return Group(table, "", *map(escape, reasons), "", _word(judged.verdict))


def _word(verdict: Verdict) -> str:
    return f"[{_COLOURS[verdict]}]{verdict.value}[/]"
