"""``groundspeed history``: what was measured before."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from groundspeed.deploy.cli.options import (
    emulated_option,
    existing_store,
    json_option,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json


@click.command()
@click.argument("network", required=False)
@click.option("--runtime", help="Only this runtime.")
@emulated_option
@store_option
@json_option
def command(
    network: str | None, runtime: str | None, emulated: bool, store_folder: Path, as_json: bool
) -> None:
    """List what was measured before, the oldest first, optionally of one NETWORK only.

    Entries with the same key were measured alike (device, system, runtime build, threads,
    governor), in n launches; a number from yesterday is history, no evidence of a regression.

    \b
    Example:
      groundspeed history shufflenet_v2_x1_0 --runtime ncnn
    """
    from groundspeed.deploy.history import history
    from groundspeed.deploy.report.text import interval, ms
    from groundspeed.deploy.store.store import Store

    with Store(existing_store(store_folder)) as store:
        entries = history(store, network=network, runtime=runtime, emulated=emulated)
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
