"""Series and the places where they changed, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.markup import escape

from groundspeed.deploy.report.text import ms, threads
from groundspeed.deploy.trends.change_points import Trend
from groundspeed.deploy.trends.replay import Replayed
from groundspeed.deploy.trends.series import Series

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 72


def of_series(one: Series) -> list[str]:
    """Return the lines about a series of the store."""
    first, last = one.entries[0], one.entries[-1]
    title = f"{first.network} in {first.runtime}, {first.precision}, {threads(first.threads)}"
    lines = [f"[bold]{escape(f'{title}, on {first.machine.name}')}[/]"]
    if one.began:
        lines.append(escape(f"a new series, for what went before does not compare: {one.began}"))
    lines.append(sparkline([entry.estimate_ns for entry in one.entries]))
    when = f"{first.started_at[:16]} to {last.started_at[:16]}".replace("T", " ")
    lines.append(f"{len(one.entries)} runs, {when}, the last {ms(last.estimate_ns)} ms")
    names = [f"run {entry.run_id}{_at(entry.revision)}" for entry in one.entries]
    return lines + changes(one.trend, names)


def of_replayed(one: Replayed) -> list[str]:
    """Return the lines about a series of a table."""
    lines = [f"[bold]{escape(one.name)}[/]", sparkline(one.values)]
    lines.append(escape(f"{len(one.values)} values, {one.times[0]} to {one.times[-1]}"))
    return lines + changes(one.trend, one.times)


def changes(trend: Trend, names: Sequence[str]) -> list[str]:
    """Return a line for each change.

    Args:
        trend: what a series did.
        names: of its values, in order.
    """
    if trend.drift is not None:
        return [f"drifts: {100 * (trend.drift - 1):+.1f} % from first to last, with no one place"]
    lines = [
        escape(
            f"{100 * (step.ratio - 1):+.1f} % [{100 * (step.low - 1):+.1f}, "
            f"{100 * (step.high - 1):+.1f}] between {names[step.index - 1]} and "
            f"{names[step.index]}"
        )
        for step in trend.steps
    ]
    return lines or ["no change is shown"]


def sparkline(values: Sequence[float]) -> str:
    """Return a line of bars, one for each value or for the median of neighbours."""
    parts = np.array_split(np.asarray(values, dtype=float), min(len(values), _WIDTH))
    heights = np.array([np.median(part) for part in parts])
    span = float(np.ptp(heights))
    if span == 0.0:
        return _BARS[0] * len(heights)
    places = np.rint((heights - heights.min()) / span * (len(_BARS) - 1)).astype(int)
    return "".join(_BARS[place] for place in places)


def _at(revision: str | None) -> str:
    return f" ({revision[:9]})" if revision else ""
