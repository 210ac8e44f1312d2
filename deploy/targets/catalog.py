"""The targets that ship with Groundspeed; others register by the entry points of the group."""

from __future__ import annotations

from groundspeed.deploy.targets.target import Target
from groundspeed.registry import Entry, Registry

TARGETS = Registry(
    "target",
    "groundspeed.targets",
    {
        "local": Entry(
            target="groundspeed.deploy.targets.local:LocalTarget",
            extra="runtimes",
            summary="this machine",
        ),
    },
)


def open_target(name: str = "local") -> Target:
    """Return the target of a name.

    Raises:
        UnknownName: there is none.
        MissingExtra: a package that it needs is not installed.
    """
    target: Target = TARGETS.load(name)()
    return target
