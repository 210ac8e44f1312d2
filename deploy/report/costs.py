"""What a device's ops cost, and predictions that rest on it, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from groundspeed.deploy.feedback.costs.characterize import Learned
from groundspeed.deploy.feedback.costs.gather import Setting
from groundspeed.deploy.feedback.costs.prediction import LeftOut, Prediction
from groundspeed.deploy.report.text import giga, ms, percent, span, threads

# Less of the time than this in ops of unknown sizes is within the errors that are printed.
_MUCH = 0.1


def learned_table(learned: Learned) -> RenderableType:
    """Return what each kind of op costs, and how well networks are predicted from each other."""
    table = _table("op kind", "ops", "fused", "fixed, µs", "GFLOP/s", "GB/s")
    for row in learned.kinds:
        table.add_row(
            str(row.kind),
            str(row.ops),
            str(row.fused),
            f"{row.fixed_ns / 1e3:.1f}",
            "" if row.flops_per_s is None else giga(row.flops_per_s),
            "" if row.bytes_per_s is None else giga(row.bytes_per_s),
        )
    words: list[RenderableType] = [Text(f"\n{learned.setting}", style="bold"), table]
    if learned.flops_per_s is not None and learned.bytes_per_s is not None:
        roof = f"{giga(learned.flops_per_s)} GFLOP/s, {giga(learned.bytes_per_s)} GB/s"
        words.append(Text(f"roofline, as far as it shows in these networks: {roof}"))
    if learned.left_out:
        words.append(Text(f"each network predicted by the others: {errors(learned.left_out)}"))
        alone = errors(learned.strangers)
        words.append(Text(f"and where nobody measured the ops that only it has: {alone}"))
    return Group(*words)


def prediction_table(network: str, predicted: dict[Setting, Prediction]) -> RenderableType:
    """Return predictions of one network, with how wrong such predictions were."""
    names = ("threads", "predicted, ms", "interval", "left-out networks")
    table = _table("runtime", "precision", *names)
    for setting, one in predicted.items():
        table.add_row(
            setting.runtime,
            setting.precision,
            threads(setting.threads),
            ms(one.ns),
            _interval(one),
            errors(one.left_out),
        )
    title = Text(f"\n{network}: predicted from other networks, not measured", style="bold")
    title.append("\nin runs that no other work on the device disturbs", style="dim")
    strange = sorted({name for one in predicted.values() for name in one.unknown})
    words: list[RenderableType] = [title, table]
    if strange:
        words.append(
            Text(
                f"note: nothing like {', '.join(strange)} was ever profiled there; these are taken "
                "for free, so the network takes longer than predicted",
                style="yellow",
            )
        )
    unlike = max(one.unlike for one in predicted.values())
    if unlike > _MUCH:
        words.append(
            Text(
                f"note: {percent(unlike)} of the time is in ops of sizes far from any that was "
                "profiled there; trust the interval less",
                style="yellow",
            )
        )
    return Group(*words)


def _interval(one: Prediction) -> str:
    if one.high_ns is None:
        return f"{ms(one.low_ns)} or more"
    return f"{span(ms(one.low_ns), ms(one.high_ns))} ({percent(one.level)})"


def errors(left_out: Sequence[LeftOut]) -> str:
    """Return how wrong predictions of left-out networks were, in words."""
    middle = median(abs(one.error) for one in left_out)
    near = sum(abs(one.error) <= 0.1 for one in left_out)
    return f"{near} of {len(left_out)} within ±10 %, the median off by {percent(middle)}"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    return table
