"""Measure or profile files that are exported already."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from groundspeed.artifact import Artifact
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.pipeline import execute
from groundspeed.deploy.plan import Cell, Plan, Settings
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.target import Target


def bench(
    artifacts: Sequence[Artifact],
    threads: Iterable[int] = (1,),
    *,
    store: Store,
    target: Target,
    settings: Settings | None = None,
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Measure the latency of artifacts, interleaved, and profile each if the settings say so.

    Args:
        artifacts: what to measure, each in the runtime and precision of its manifest.
        threads: numbers of threads.
        store: where results go, and where an unfinished run of the same plan is looked for.
        target: the machine to measure on.
        settings: how to measure; by default without profiles.
        command: the command line that makes the run again, for reports.
        fresh: begin anew even if an unfinished run of the same plan exists.
        on_event: called with everything that happens.

    Raises:
        GroundspeedError: as in ``pipeline.run``.
    """
    known = {artifact.id: artifact for artifact in artifacts}
    counts = tuple(dict.fromkeys(threads))
    plan = Plan(
        cells=tuple(
            Cell(
                network=artifact.manifest.source,
                runtime=artifact.manifest.runtime,
                precision=artifact.manifest.precision,
                threads=count,
                artifact_id=identity,
            )
            for identity, artifact in known.items()
            for count in counts
        ),
        settings=settings or Settings(profile_runs=0),
        target=target.name,
        machine_id=machine_id(target.facts()),
    )
    return execute(
        plan,
        store=store,
        target=target,
        export_one=lambda cell: known[cell.artifact_id],
        command=command,
        fresh=fresh,
        on_event=on_event,
    )


def profile(
    artifacts: Sequence[Artifact],
    threads: Iterable[int] = (1,),
    *,
    store: Store,
    target: Target,
    settings: Settings | None = None,
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Take per-op times of artifacts: one profile launch each, no others; see :func:`bench`."""
    settings = dataclasses.replace(settings or Settings(), min_rounds=0, max_rounds=0)
    return bench(
        artifacts,
        threads,
        store=store,
        target=target,
        settings=settings,
        command=command,
        fresh=fresh,
        on_event=on_event,
    )
