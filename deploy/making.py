"""The files of a run, each made once however many devices measure it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy import quantizing
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.plan import Cell
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import ExportError
from groundspeed.export.formats import format_for


class Maker:
    """Makes the file of a cell, or hands out the one that another device has asked for before.

    Args:
        exporters: for each network, what writes its files.
    """

    def __init__(self, exporters: Mapping[Source, Exporter]) -> None:
        self._exporters = exporters
        self._made: dict[tuple[Source, str, str, str], Artifact | ExportError] = {}
        self._making = threading.Lock()

    def make(
        self, cell: Cell, *, store: Store, target: Target, threads: int, cpus: tuple[int, ...]
    ) -> Artifact:
        """Return the file of a cell, as the store keeps it.

        Args:
            cell: what is to be measured.
            store: where the file is kept.
            target: where it is going to be measured.
            threads: with how many mixed precision is tried out there.
            cpus: and on which CPUs.

        Raises:
            ExportError: it cannot be made.
            DataError: there are no data to calibrate on.
        """
        # Which layers pay in integers is measured, and one device's answer is not another's.
        where = target.name if cell.precision == quantizing.AUTO else ""
        key = (cell.network, cell.runtime, cell.precision, where)
        with self._making:
            found = self._made.get(key)
            if found is None:
                exporter = self._exporters[cell.network]
                exporter.mix_on(target, threads, cpus)
                try:
                    found = self._kept(exporter, cell, store)
                except ExportError as error:
                    found = error
                self._made[key] = found
        if isinstance(found, ExportError):
            raise found
        return found

    @staticmethod
    def _kept(exporter: Exporter, cell: Cell, store: Store) -> Artifact:
        made = exporter.export(format_for(cell.runtime), cell.precision)
        try:
            return store.keep(made)
        finally:
            shutil.rmtree(made.folder, ignore_errors=True)
