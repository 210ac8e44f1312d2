"""``groundspeed history``: what was measured before."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from groundspeed.deploy.cli.options import existing_store, json_option, store_option
from groundspeed.deploy.cli.output import console, print_json
from groundspeed.units import milliseconds


@click.command()
@click.argument("network", required=False)
@click.option("--runtime", help="Only this runtime.")
@store_option
@json_option
def command(network: str | None, runtime: str | None, store_folder: Path, as_json: bool) -> None:
    """List what was measured before, the oldest first, optionally of one NETWORK only.

    Entries with the same letters under 'conditions' were measured alike (device, system, runtime
    build, threads, governor); a number from yesterday is history, not evidence of a regression.

    \b
    Example:
      groundspeed history shufflenet_v2_x1_0 --runtime ncnn
    """  # noqa: D301
    from groundspeed.deploy.history import history
    from groundspeed.deploy.store.store import Store

    with Store(existing_store(store_folder)) as store:
        entries = history(store, network=network, runtime=runtime)
    if as_json:
        print_json(entries)
        return
    table = Table("run", "started", "network", "runtime", "precision", box=None)
    for title in ("threads", "latency", "95% interval", "launches", "conditions"):
        table.add_column(title, justify="right")
    for entry in entries:
        span = entry.interval
        table.add_row(
            f"{entry.run_id}{'' if entry.finished else ' (unfinished)'}",
            entry.started_at[:16].replace("T", " "),
            entry.network,
            entry.runtime,
            entry.precision,
            str(entry.threads),
            milliseconds(entry.estimate_ns),
            f"{milliseconds(span.low_ns)} - {milliseconds(span.high_ns)}" if span else "-",
            str(entry.launches),
            entry.comparability[:6],
        )
    console().print(table)
