"""Where commands print: tables and progress for people, JSON for machines."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import click
from rich.console import Console

from groundspeed.deploy.store.location import masked
from groundspeed.documents import to_plain


def print_json(value: Any) -> None:
    """Print a value as one JSON document on standard output."""
    click.echo(json.dumps(to_plain(value), indent=1, allow_nan=False))


def console(*, stderr: bool = False) -> Console:
    """Return a console; colours and progress appear only on a terminal."""
    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def typed() -> str:
    """Return the command as the user typed it, without passwords: it is stored, and shown."""
    return masked(shlex.join(["groundspeed", *sys.argv[1:]]))
