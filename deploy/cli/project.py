"""A command whose options the user's project sets in its ``groundspeed.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundspeed.errors import UsageError

if TYPE_CHECKING:
    from groundspeed.deploy.gate.config import CheckConfig


class CheckCommand(click.Command):
    """A command that takes what its command line leaves out from the table ``[check]``.

    The table is handed on as ``context.obj["check"]``; None without a file.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the project's file before the command line, which wins."""
        if not {"-h", "--help"} & set(args):
            options = {_name(each): each for each in self.params if isinstance(each, click.Option)}
            config = _config(options)
            ctx.ensure_object(dict)["check"] = config
            if config is not None:
                ctx.default_map = {
                    options[key].name or key: _converted(config.path, key, said, options[key], ctx)
                    for key, said in config.options.items()
                }
        return super().parse_args(ctx, args)


def _name(option: click.Option) -> str:
    return option.opts[0].removeprefix("--")


def _config(options: dict[str, click.Option]) -> CheckConfig | None:
    from groundspeed.deploy.devices.config import find_config
    from groundspeed.deploy.gate.config import read_check

    path = find_config()
    if path is None:
        return None
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return read_check(path, options)


def _converted(path: Path, key: str, said: Any, option: click.Option, ctx: click.Context) -> Any:
    """Return a value as the option takes it, so that what is wrong is said of the file."""
    if isinstance(said, dict):
        raise UsageError(f"{path}: [check] has no table '{key}'; write '{key} = …'")
    if option.is_flag and not isinstance(said, bool):
        raise UsageError(f"{path}: '{key}' of [check] must be true or false, not {said!r}")
    try:
        return option.type_cast_value(ctx, _frozen(said))
    except click.UsageError as error:
        raise UsageError(f"{path}: '{key}' of [check]: {error.message}") from error
    except TypeError as error:
        raise UsageError(f"{path}: '{key}' of [check] cannot be {said!r}") from error


def _frozen(said: Any) -> Any:
    return tuple(map(_frozen, said)) if isinstance(said, list) else said
