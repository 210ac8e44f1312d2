"""What null comparisons come to, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from groundspeed.deploy.gate.calibration import Calibration
from groundspeed.deploy.gate.decision import Rules
from groundspeed.deploy.report.check_text import change
from groundspeed.deploy.report.text import threads

PAIRS = (10, 20, 40, 80)


def text(known: Sequence[Calibration], rules: Rules) -> RenderableType:
    """Return how far devices can be trusted, and how small a change they can show.

    Args:
        known: one for each device and setting.
        rules: how comparisons are judged.
    """
    parts: list[RenderableType] = []
    for one in known:
        parts += [*_sentences(one), _table(one, rules), ""]
    return Group(*parts)


def _sentences(one: Calibration) -> list[str]:
    where = f"{one.device}: {one.runtime}, {one.precision}, {threads(one.threads)}"
    return [
        f"[bold]{escape(where)}[/]",
        f"{one.comparisons} null comparisons, {one.pairs} pairs: {one.fails} failed (at most "
        f"{one.bound:.1%} do, at 95 %), {one.improvements} called faster",
        f"pairs scatter by {one.deviation:.2%} [{one.deviation_low:.2%}, "
        f"{one.deviation_high:.2%}], those that follow each other correlate by "
        f"{one.autocorrelation:+.2f}; inferences within a launch scatter by {one.within:.2%}",
    ]


def _table(one: Calibration, rules: Rules) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("pairs", "minutes", "shows in 95 % of trials"):
        table.add_column(title, justify="right")
    for pairs in PAIRS:
        table.add_row(
            str(pairs), f"{pairs * one.pair_s / 60:.1f}", change(one.smallest(pairs, rules))
        )
    return table
