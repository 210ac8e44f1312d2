"""``groundspeed history``: what was measured before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from groundspeed.deploy.cli.options import (
    emulated_option,
    existing_store,
    json_option,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json

if TYPE_CHECKING:
    from groundspeed.deploy.history import Entry
    from groundspeed.deploy.store.location import Location


@click.command()
@click.argument("network", required=False)
@click.option("--runtime", help="Only this runtime.")
@click.option("--series", "as_series", is_flag=True, help="Show series, and where they changed.")
@emulated_option
@store_option
@json_option
def command(
    network: str | None,
    runtime: str | None,
    as_series: bool,
    emulated: bool,
    location: Location,
    as_json: bool,
) -> None:
    """List what was measured before, the oldest first, optionally of one NETWORK only.

    Entries with the same key were measured alike (device, system, runtime build, threads,
    governor), in n launches; a number from yesterday is history, no evidence of a regression. With
    --series, those with the same key are one line each, with the commits between which it changed.

    \b
    Example:
      groundspeed history shufflenet_v2_x1_0 --runtime ncnn
    """
    from groundspeed.deploy.history import history
    from groundspeed.deploy.report.text import interval, ms
    from groundspeed.deploy.store.store import Store

    with Store(existing_store(location)) as store:
        entries = history(store, network=network, runtime=runtime, emulated=emulated)
    if as_series:
        _show_series(entries, as_json=as_json)
        return
    if as_json:
        print_json(entries)
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run")
    table.add_column("started", no_wrap=True)
    table.add_column("network", overflow="fold", min_width=12)
    table.add_column("runtime", no_wrap=True)
    for title in ("ms", "95 %", "n", "key"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(
            f"{entry.run_id}{'' if entry.finished else ' (unfinished)'}",
            entry.started_at[5:16].replace("T", " "),
            entry.network,
            f"{entry.runtime} {entry.precision} {entry.threads}t",
            ms(entry.estimate_ns),
            interval(entry.interval) if entry.interval else "-",
            str(entry.launches),
            entry.comparability[:6],
        )
    console().print(table)


def _show_series(entries: list[Entry], *, as_json: bool) -> None:
    from groundspeed.deploy.report.trends import of_series
    from groundspeed.deploy.trends.series import series

    found = series(entries)
    if as_json:
        print_json(found)
        return
    for one in found:
        console().print("\n".join([*of_series(one), ""]))
