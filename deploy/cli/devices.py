"""``groundspeed devices``: what is there to measure on, whether it is fit, and what it lacks."""

from __future__ import annotations

import sys

import click
from rich.markup import escape
from rich.table import Table

from groundspeed.deploy.cli.options import json_option
from groundspeed.deploy.cli.output import console, print_json

COLOURS = {"good": "green", "mind": "yellow", "bad": "red", "unknown": "dim"}


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the devices that can be measured on, examine one, or give it engines.

    Without a word it lists this machine, the devices that groundspeed.toml names, and the phones
    that adb knows.

    \b
    Example:
      groundspeed devices
      groundspeed devices doctor pi5
      groundspeed devices provision pi5 --runtimes ncnn,onnxruntime
    """
    if context.invoked_subcommand is not None:
        return
    from groundspeed.deploy.devices.listing import listed

    rows = listed()
    if as_json:
        print_json(rows)
        return
    table = Table("device", "address", "state", "what", box=None, header_style="bold")
    for row in rows:
        table.add_row(row.name, row.address, row.state, row.model)
    console().print(table)


@command.command()
@click.argument("device")
@json_option
def doctor(device: str, as_json: bool) -> None:
    """Check everything that a run needs of DEVICE, and say what to do about what is missing.

    \b
    Example:
      groundspeed devices doctor ssh://pi@10.0.0.7
    """
    from groundspeed.deploy.devices.doctor import Check, Grade, examine, worst
    from groundspeed.deploy.targets.catalog import named, open_link

    found = named(device)
    link = open_link(found)
    checks: list[Check] = []
    try:
        for check in examine(found, link):
            checks.append(check)
            if not as_json:
                colour = COLOURS[check.grade.value]
                sign = f"[{colour}]{check.grade.value:>7}[/]"
                words = escape(check.found)
                console().print(f"{sign}  [bold]{check.name}[/]: {words}", soft_wrap=True)
                if check.advice:
                    console().print(f"{'':9}-> {escape(check.advice)}", soft_wrap=True)
    finally:
        link.close()
    if as_json:
        print_json(checks)
    sys.exit(1 if worst(checks) is Grade.BAD else 0)


@command.command()
@click.argument("device")
@click.option(
    "--runtimes",
    default="onnxruntime,litert,ncnn",
    show_default=True,
    help="What to bring, separated by commas.",
)
@json_option
def provision(device: str, runtimes: str, as_json: bool) -> None:
    """Fetch engines for DEVICE's processor and Python here, and put them there.

    The device needs no internet and no pip; what was put there is found by every later run.

    \b
    Example:
      groundspeed devices provision pi5 --runtimes ncnn
    """
    from groundspeed.deploy.agents.wheels import provision as put
    from groundspeed.deploy.devices.state import read_state
    from groundspeed.deploy.targets.catalog import named, open_link
    from groundspeed.deploy.targets.here import user_cache

    names = [name.strip() for name in runtimes.split(",") if name.strip()]
    link = open_link(named(device))
    try:
        folder = put(
            link,
            read_state(link),
            names,
            user_cache() / "wheels",
            lambda sentence: click.echo(sentence, err=True),
        )
    finally:
        link.close()
    if as_json:
        print_json({"device": device, "runtimes": names, "folder": folder})
    else:
        click.echo(f"{device} has {', '.join(names)} in {folder}")
