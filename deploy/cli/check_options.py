"""Options of ``groundspeed check``: how it judges, and what it writes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from groundspeed.deploy.cli.values import Share

F = TypeVar("F", bound=Callable[..., Any])

_FILES = {
    "markdown": "the verdicts as Markdown, for a pull request",
    "junit": "them as JUnit XML",
    "sarif": "what did not pass, at its line of your source, as SARIF",
    "report": "an HTML page with all pairs",
    "bencher": "latencies and sizes in Bencher's Metric Format",
    "benchmark-action": "them for github-action-benchmark, as customSmallerIsBetter",
}


def file_options(function: F) -> F:
    """Add where verdicts are written, handed on as ``files``: what is asked for, by its name."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        asked = {name: values.pop(name) for name in (key.replace("-", "_") for key in _FILES)}
        files = {name: path for name, path in asked.items() if path is not None}
        return function(files=files, **values)

    decorated = cast(F, wrapper)
    for name, what in reversed(_FILES.items()):
        decorated = click.option(
            f"--{name}",
            type=click.Path(path_type=Path, dir_okay=False),
            help=f"Where to write {what}.",
        )(decorated)
    return decorated


def rules_options(function: F) -> F:
    """Add how a comparison is judged, handed on as ``rules``."""

    @functools.wraps(function)
    def wrapper(*, margin: float, level: float, pairs: int, strict: bool, **others: Any) -> Any:
        from groundspeed.deploy.gate.decision import Rules

        rules = Rules(margin=margin, level=level, pairs=pairs, strict=strict)
        return function(rules=rules, **others)

    decorated = cast(F, wrapper)
    for option in (
        click.option(
            "--strict",
            is_flag=True,
            help="Judge by a test that holds for any scatter; it takes more pairs.",
        ),
        click.option(
            "--pairs",
            type=click.IntRange(min=5),
            default=40,
            show_default=True,
            help="Pairs of launches of each comparison at most.",
        ),
        click.option(
            "--level",
            type=Share(),
            default=0.01,
            show_default="1%",
            help="How often a check may fail when nothing became slower.",
        ),
        click.option(
            "--margin",
            type=Share(),
            default=0.03,
            show_default="3%",
            help="The slowdown that must not pass.",
        ),
    ):
        decorated = option(decorated)
    return decorated
