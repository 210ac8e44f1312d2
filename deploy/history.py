"""What was measured before, one entry for each cell of each run."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

from groundspeed.deploy.comparability import Key
from groundspeed.deploy.statistics import Interval, estimate, interval
from groundspeed.deploy.store.store import Store
from groundspeed.documents import from_plain
from groundspeed.measurement import Machine


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A cell of an earlier run.

    Attributes:
        run_id: number of the run.
        started_at: when the run began, UTC, ISO 8601.
        finished: whether the run is complete.
        network, runtime, precision, threads: what was measured.
        artifact_id: the file that was measured; the store still has it.
        machine: where.
        comparability: digest of what must be equal in entries that are compared.
        key: what the digest is of.
        revision: commit of the user's repository; None when it was not known.
        estimate_ns: geometric mean of the launches' medians.
        interval: of the estimate, over launches; None for a single one.
        launches: how many.
    """

    run_id: int
    started_at: str
    finished: bool
    network: str
    runtime: str
    precision: str
    threads: int
    artifact_id: str
    machine: Machine
    comparability: str
    key: Key
    revision: str | None
    estimate_ns: float
    interval: Interval | None
    launches: int


def history(
    store: Store, *, network: str | None = None, runtime: str | None = None, emulated: bool = False
) -> list[Entry]:
    """Return all cells with a result, the oldest run first.

    Args:
        store: where to look.
        network: only networks of this name.
        runtime: only this runtime.
        emulated: those of emulated devices too, whose latencies say nothing about real ones.
    """
    entries = []
    for _, group in itertools.groupby(
        store.medians(network), key=lambda row: (row.run_id, row.ordinal)
    ):
        rows = list(group)
        first, medians = rows[0], [row.median_ns for row in rows]
        machine = from_plain(Machine, json.loads(first.machine))
        if runtime not in (None, first.runtime) or (machine.emulated and not emulated):
            continue
        entries.append(
            Entry(
                run_id=first.run_id,
                started_at=first.started_at,
                finished=first.finished_at is not None,
                network=first.network,
                runtime=first.runtime,
                precision=first.precision,
                threads=first.threads,
                artifact_id=first.artifact_id,
                machine=machine,
                comparability=first.comparability_digest,
                key=json.loads(first.comparability),
                revision=first.revision,
                estimate_ns=estimate(medians),
                interval=interval(medians),
                launches=len(medians),
            )
        )
    return entries
