"""``groundspeed changes``: where did the series of any table change?"""

from __future__ import annotations

from pathlib import Path

import click

from groundspeed.deploy.cli.options import json_option
from groundspeed.deploy.cli.output import console, print_json


@click.command()
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--time", default="time", show_default=True, help="Column of times.")
@click.option("--series", default="series", show_default=True, help="Column of series.")
@click.option("--value", default="value", show_default=True, help="Column of values.")
@json_option
def command(table: Path, time: str, series: str, value: str, as_json: bool) -> None:
    """Find where the series of a TABLE changed their level, as 'groundspeed history --series' does.

    TABLE is a CSV file with a header and a row for each value, in order of time within a series.
    Values are above 0, in any unit.

    \b
    Example:
      groundspeed changes latencies.csv --time date --series benchmark --value ms
    """
    from groundspeed.deploy.report.trends import of_replayed
    from groundspeed.deploy.trends.replay import replay

    found = replay(table, time=time, series=series, value=value)
    if as_json:
        print_json(found)
        return
    for one in found:
        console().print("\n".join([*of_replayed(one), ""]))
