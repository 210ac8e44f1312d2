"""Where commands print: tables and progress for people, JSON for machines."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from groundspeed.documents import to_plain


def print_json(value: Any) -> None:
    """Print a value as one JSON document on standard output."""
    click.echo(json.dumps(to_plain(value), indent=1, allow_nan=False))


def console(*, stderr: bool = False) -> Console:
    """Return a console; colours and progress appear only on a terminal."""
    return Console(stderr=stderr, highlight=False, soft_wrap=False)
