"""Writes docs/reference.md from the command line's own help and from the registries.

Run ``./do docs`` after a change of either; a test fails while the page is stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from groundspeed.deploy.cli.main import COMMANDS, group
from groundspeed.deploy.data.catalog import DATA
from groundspeed.deploy.feedback.patterns.catalog import PATTERNS
from groundspeed.deploy.feedback.patterns.pattern import Pattern
from groundspeed.deploy.mixing.search import SEARCHES
from groundspeed.deploy.targets.catalog import LINKS
from groundspeed.export.formats import FORMATS
from groundspeed.export.rewrites.catalog import REWRITES
from groundspeed.registry import Registry
from groundspeed.runtimes.catalog import RUNTIMES

PAGE = Path(__file__).parent / "reference.md"


def commands() -> Iterator[str]:
    """Yield the help of every command."""
    with click.Context(group, info_name="groundspeed") as context:
        for name in sorted(COMMANDS):
            command = group.get_command(context, name)
            assert command is not None
            with click.Context(command, info_name=f"groundspeed {name}", max_content_width=96) as c:
                yield f"### {name}\n\n```\n{command.get_help(c)}\n```\n"


def table(title: str, registry: Registry) -> str:
    """Return a registry as a table."""
    rows = "\n".join(
        f"| `{name}` | {registry[name].summary} | `{registry[name].extra or '-'}` |"
        for name in registry
    )
    return f"## {title}\n\n| name | what | extra |\n| --- | --- | --- |\n{rows}\n"


def patterns() -> str:
    """Return the table of op patterns."""
    rows = []
    for name in PATTERNS:
        pattern: Pattern = PATTERNS.load(name)
        example = pattern.example.replace("|", "\\|")
        rows.append(
            f"| {name} | {pattern.guideline} | {pattern.reason} | `{example}` | {pattern.source} |"
        )
    head = "| pattern | guideline | why it costs time | example | source |\n"
    return (
        "## Op patterns\n\n" + head + "| --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def page() -> str:
    """Return the whole page."""
    rewrites = "\n".join(
        f"| `{rewrite.name}` | {rewrite.summary} | {', '.join(rewrite.formats)} |"
        for rewrite in REWRITES
    )
    return "\n".join(
        [
            "# Reference\n\nWritten by `./do docs`; edit the sources, not this page.\n",
            "## Commands\n",
            *commands(),
            table("Runtimes", RUNTIMES),
            patterns(),
            table("Data", DATA),
            table("Formats", FORMATS),
            table("Kinds of devices", LINKS),
            table("Searches for mixed precision", SEARCHES),
            "## Rewrites\n\n| name | what | formats |\n| --- | --- | --- |\n" + rewrites + "\n",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page())
