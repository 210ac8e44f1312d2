"""``groundspeed report``: the page of a stored run."""

from __future__ import annotations

from pathlib import Path

import click

from groundspeed.deploy.cli.options import (
    emulated_option,
    existing_store,
    json_option,
    store_option,
)
from groundspeed.deploy.store.location import Location
from groundspeed.errors import UsageError


@click.command()
@click.option("--run", "run_id", type=int, help="Number of the run; by default the newest.")
@click.option(
    "-o",
    "--output",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the page; by default into the results.",
)
@emulated_option
@store_option
@json_option
def command(
    run_id: int | None, output: Path | None, emulated: bool, location: Location, as_json: bool
) -> int:
    """Write the HTML report of a stored run, and print its short form.

    The page is one file that opens from disk without a network.

    \b
    Example:
      groundspeed report --run 3 -o report.html
    """
    from groundspeed.deploy import results, running
    from groundspeed.deploy.cli.results import Shown, show
    from groundspeed.deploy.devices.pool import Outcome
    from groundspeed.deploy.store.store import Store

    with Store(existing_store(location)) as store:
        result = results.read(store, run_id)
    if result.emulated and not emulated:
        raise UsageError(
            f"run {result.run.id} was measured on an emulated device, whose latencies say nothing "
            "about a real one; add --emulated to see them all the same"
        )
    page = running.write_report(result, output or location.folder / f"report-{result.run.id}.html")
    shown = Outcome(device=result.run.plan.target, result=Shown(result=result, report=page))
    return show([shown], as_json=as_json)
