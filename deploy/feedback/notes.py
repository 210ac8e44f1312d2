"""What is known of a run's cells so far: kept after each, so that an interruption loses none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.store.store import Store
from groundspeed.documents import dump, from_plain, write_atomically
from groundspeed.errors import StoreError

FORMAT_VERSION = 1  # 1: first version, 2026-11


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What costs one cell its time.

    Attributes:
        findings: the costliest by the profile first.
        unexplained: why nobody could look; "" if somebody did.
        run: number of the run of its counterfactuals; None if none were made.
    """

    findings: tuple[Finding, ...] = ()
    unexplained: str = ""
    run: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Document:
    cells: tuple[Explained, ...]
    format_version: int = FORMAT_VERSION


class Notes:
    """The explained cells of one run, in its order, in a file of the store.

    Args:
        path: the file; it need not be there.

    Raises:
        StoreError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.cells: tuple[Explained, ...] = ()
        if path.exists():
            try:
                self.cells = from_plain(_Document, json.loads(path.read_text())).cells
            except (OSError, ValueError) as error:
                raise StoreError(
                    f"{path} cannot be read ({error}); delete it to explain that run anew"
                ) from error

    @staticmethod
    def of(store: Store, run_id: int) -> Notes:
        """Return what is known of a run."""
        return Notes(store.folder / f"explanation-{run_id}.json")

    def add(self, cell: Explained) -> None:
        """Keep what is known of the next cell."""
        self.cells = (*self.cells, cell)
        write_atomically(self._path, dump(_Document(cells=self.cells)))
