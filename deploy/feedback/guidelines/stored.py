"""What a device said to the guidelines when it was last asked, for whoever wants to know of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from groundspeed.deploy.feedback.guidelines.asked import Asked
from groundspeed.deploy.feedback.guidelines.experiment import WIDTHS, Column
from groundspeed.deploy.feedback.guidelines.tables import Table, tables
from groundspeed.deploy.results import read
from groundspeed.deploy.store.rows import StoredRun
from groundspeed.deploy.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The paper's experiments as a stored run has them.

    Attributes:
        run: where the launches are.
        tables: what they say.
    """

    run: StoredRun
    tables: tuple[Table, ...]


def latest(store: Store, machine_id: str) -> Answered | None:
    """Return the newest finished run of the paper's experiments on a machine.

    Runs of other networks than the paper's (fewer blocks, smaller maps, more images at once) are
    no answer. None when nobody asked.

    Raises:
        StoreError: the store cannot be read.
        ArtifactError: a file that was measured is damaged.
    """
    for run in reversed(store.runs()):
        if run.finished_at is not None and run.plan.machine_id == machine_id:
            asked = asked_by(cell.network.spec for cell in run.plan.cells)
            if asked is not None:
                return Answered(run=run, tables=tables(read(store, run.id), asked))
    return None


def asked_by(specs: Iterable[str]) -> Asked | None:
    """Return what networks of these names are asked for; None if they are no whole experiments."""
    wanted = set(specs)
    for column in Column:
        every = Asked(column=column, widths=WIDTHS).subjects
        found = [one for one in every if one.spec in wanted]
        if not found:
            continue
        asked = Asked(
            guidelines=tuple(dict.fromkeys(one.experiment.guideline for one in found)),
            column=column,
            widths=tuple(dict.fromkeys(one.width for one in found)),
        )
        if {one.spec for one in asked.subjects} == wanted:
            return asked
    return None
