"""The command group, and the one place that turns an error into a sentence and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence

import click

from groundspeed import __version__
from groundspeed.errors import GroundspeedError

# name -> module and one-line help: `groundspeed --help` lists them without importing any.
COMMANDS = {
    "bench": "Measure the latency of exported files.",
    "calibrate": "Compare files with themselves: how small a change can a device show?",
    "changes": "Find where the series of a table changed their level.",
    "characterize": "Profile networks on a device, so that others can be predicted there.",
    "check": "Say whether networks became slower than a baseline, for CI.",
    "completion": "Print the shell's completion script.",
    "devices": "List the devices to measure on, examine one, give it engines.",
    "eval": "Measure how right exported files are on real data.",
    "explain": "Find the op patterns that cost the time, and prove what they cost.",
    "export": "Write a network as ONNX, TFLite or NCNN, proven equal.",
    "guidelines": "Measure whether the ShuffleNet V2 paper's guidelines hold on a device.",
    "history": "List what was measured before.",
    "init": "Write a groundspeed.toml and a CI workflow that checks pull requests.",
    "inspect": "Show what a network's layers cost on paper.",
    "models": "List the networks that come with Groundspeed.",
    "predict": "Predict a network's latency on a device that was characterized.",
    "profile": "Measure where an exported file's time goes, op by op.",
    "report": "Write the HTML report of a stored run.",
    "run": "Export, measure, profile and report, all in one.",
    "train": "Train a network on labelled images, for 8-bit integers too.",
}

# Packages that only some commands need -> the extra that brings them.
EXTRAS = {
    "onnx": "to-onnx",
    "onnxscript": "to-onnx",
    "onnxsim": "to-onnx",
    "ruptures": "history",
    "safetensors": "models",
    "torch": "models",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"groundspeed.deploy.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, so that asking for help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="groundspeed")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def group(context: click.Context, debug: bool) -> None:
    """Say how fast a network really is on its device, and which ops cost the time.

    \b
    The main job, on a network of the zoo or your own:
      groundspeed run shufflenet_v2_x1_0
      groundspeed run path/to/net.py:build --runtimes onnxruntime,ncnn
    """
    context.obj = {"debug": debug}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    The code is 0 when done, 1 if a check failed, 2 for bad use, 3 if a check is inconclusive, 130
    when interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # The option is read here too: an error may come before click has parsed anything.
        sys.exit(_run(given, debug="--debug" in given))
    except BrokenPipeError:
        # The reader (head, less) went away; nothing is left to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        result = group.main(arguments, prog_name="groundspeed", standalone_mode=False)
    except click.exceptions.Abort as error:
        # Click makes this of a KeyboardInterrupt, whose own words say how to go on.
        return _say(str(error.__cause__ or error.__context__ or "") or "interrupted", 130)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except GroundspeedError as error:
        if debug:
            raise
        return _say(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if debug or error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        return _say(f"this needs {error.name}: pip install 'groundspeed[{extra}]'", 2)
    except OSError as error:
        if debug or isinstance(error, BrokenPipeError):
            raise
        return _say(_os_error(error), 1)
    return result if isinstance(result, int) else 0


def _os_error(error: OSError) -> str:
    place = f": {error.filename}" if error.filename else ""
    advice = {
        errno.ENOSPC: "free some, or name another folder",
        errno.EACCES: "check its permissions, or name another folder",
    }.get(error.errno or 0, "run again with --debug to see where")
    return f"{error.strerror or error}{place}; {advice}"


def _say(message: str, code: int) -> int:
    click.echo(f"groundspeed: {message}", err=True)
    return code
