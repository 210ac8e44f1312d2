"""The ``groundspeed`` command: each subcommand parses, calls one library function, and prints."""

from groundspeed.deploy.cli.main import main

__all__ = ["main"]
