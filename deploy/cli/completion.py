"""``groundspeed completion``: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      groundspeed completion bash >> ~/.bash_completion
    """
    from groundspeed.deploy.cli.main import group

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(group, {}, "groundspeed", "_GROUNDSPEED_COMPLETE").source())
