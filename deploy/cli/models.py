"""``groundspeed models``: the zoo."""

from __future__ import annotations

import click
from rich.table import Table

from groundspeed.deploy.cli.options import json_option
from groundspeed.deploy.cli.output import console, print_json
from groundspeed.errors import UsageError
from groundspeed.units import count_text


@click.command()
@click.argument("pattern", default="*")
@click.option("--family", help="Only networks of this family.")
@json_option
def command(pattern: str, family: str | None, as_json: bool) -> None:
    """List the networks that come with Groundspeed, with parameters and MACs.

    PATTERN may hold wildcards. MACs are multiply-accumulates of convolutions and linear layers
    for one input; papers often call them FLOPs.

    \b
    Example:
      groundspeed models 'mobilenet*'
    """
    from groundspeed.deploy.inspecting import list_zoo

    rows = list(list_zoo(pattern, family))
    if not rows:
        raise UsageError(
            f"no network of the zoo matches '{pattern}'"
            + (f" in the family '{family}'" if family else "")
            + "; 'groundspeed models' lists all"
        )
    if as_json:
        print_json(rows)
        return
    table = Table("network", "family", "input", box=None, header_style="bold")
    table.add_column("parameters", justify="right")
    table.add_column("MACs", justify="right")
    for row in rows:
        shape = "x".join(map(str, row.input_shape))
        counts = count_text(row.parameters), count_text(row.macs)
        table.add_row(row.name, row.family, shape, *counts)
    console().print(table)
