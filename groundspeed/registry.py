"""Named things that are imported when they are first used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from groundspeed.errors import MissingExtra, UnknownName


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One registered thing.

    Attributes:
        target: ``package.module:attribute``, imported on first use.
        extra: the pip extra that brings what the target imports.
        summary: one line for people.
    """

    target: str
    extra: str
    summary: str


class Registry:
    """A table name -> :class:`Entry` that others can extend by entry points.

    Args:
        noun: what an entry is, for messages ("runtime").
        group: entry-point group that packages outside the repository register under.
        entries: the entries that ship with Groundspeed.
    """

    def __init__(self, noun: str, group: str, entries: dict[str, Entry]) -> None:
        self._noun = noun
        self._group = group
        self._entries = dict(entries)
        self._extended = False

    def register(self, name: str, entry: Entry) -> None:
        """Add an entry.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(
                f"the {self._noun} '{name}' is already registered as {self._entries[name].target}"
            )
        self._entries[name] = entry

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __getitem__(self, name: str) -> Entry:
        entries = self._all()
        if name not in entries:
            raise UnknownName(unknown_name(self._noun, name, list(entries)))
        return entries[name]

    def load(self, name: str) -> Any:
        """Import and return the thing registered as ``name``.

        Raises:
            UnknownName: no such entry; the message lists the known ones and the nearest.
            MissingExtra: a package that it needs is not installed; the message has the pip line.
        """
        entry = self[name]
        module, _, attribute = entry.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("groundspeed"):
                raise
            raise MissingExtra(
                f"the {self._noun} '{name}' needs the package '{error.name}': "
                f"pip install 'groundspeed[{entry.extra}]'"
            ) from error

    def _all(self) -> dict[str, Entry]:
        if not self._extended:
            self._extended = True
            for point in entry_points(group=self._group):
                self.register(
                    point.name,
                    Entry(target=point.value, extra="", summary=f"from {point.module}"),
                )
        return self._entries


def unknown_name(noun: str, name: str, known: list[str]) -> str:
    """Return the sentence for a name that is not among ``known``, with the nearest ones."""
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
    return f"there is no {noun} '{name}'; {hint}"
