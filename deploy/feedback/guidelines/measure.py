"""The paper's experiments from their networks to verdicts: one stored run of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundspeed.deploy import running
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.feedback.guidelines.asked import Asked
from groundspeed.deploy.feedback.guidelines.tables import Table, tables
from groundspeed.deploy.plan import Settings
from groundspeed.deploy.quantizing import needs_data
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.running import Work
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import UsageError

# All networks compute by turns where the target can, so that a round, which is long with so many,
# compares what saw the same machine. How many rounds there are does not rest on what they show.
LAUNCHES = Settings(
    half_width=0.0,
    max_rounds=12,
    min_seconds=0.5,
    max_warmup_seconds=2.0,
    profile_runs=0,
    turn_s=0.5,
)

SECONDS_PER_NETWORK = 40.0


@dataclass(frozen=True, kw_only=True)
class Remeasured:
    """The paper's experiments on one device.

    Attributes:
        asked: which.
        result: the run.
        tables: what it says.
        page: the same as an HTML file with pictures.
    """

    asked: Asked
    result: RunResult
    tables: tuple[Table, ...]
    page: Path


def prepare(
    asked: Asked,
    *,
    runtimes: Sequence[str],
    precisions: Sequence[str] = ("fp32",),
    threads: Sequence[int] = (1,),
    folder: Path,
    on_progress: Callable[[str], None] = lambda words: None,
) -> Work:
    """Build the networks, so that what is wrong costs no time; see ``running.prepare``.

    Raises:
        UsageError: a precision needs data to calibrate on, and there are none of these networks.
    """
    if wrong := list(filter(needs_data, precisions)):
        raise UsageError(
            f"{wrong[0]} needs data to calibrate on, and the paper's networks have none; measure "
            "them in fp32 or fp16"
        )
    return running.prepare(
        [subject.spec for subject in asked.subjects],
        runtimes=runtimes,
        precisions=precisions,
        threads=threads,
        folder=folder,
        on_progress=on_progress,
    )


def measure(
    asked: Asked,
    work: Work,
    *,
    store: Store,
    target: Target,
    settings: Settings = LAUNCHES,
    page: Path | None = None,
    fresh: bool = False,
    command: str = "",
    on_event: OnEvent | None = None,
) -> Remeasured:
    """Measure the networks of all experiments, and judge the guidelines.

    Args:
        asked: which experiments.
        work: their networks, as ``prepare`` returns them.
        store: where results go, and where an unfinished run of the same is looked for.
        target: the machine to measure on.
        settings: how to measure.
        page: where the HTML file goes; by default ``guidelines-<run>.html`` in the store.
        fresh: begin anew even if an unfinished run of the same exists.
        command: the command line that makes it again.
        on_event: called with everything that happens.

    Raises:
        GroundspeedError: as in ``pipeline.run``.
    """
    from groundspeed.deploy.report.guidelines_page import write_page

    result = running.measure(
        work,
        store=store,
        target=target,
        settings=settings,
        fresh=fresh,
        command=command,
        on_event=on_event,
    )
    remeasured = Remeasured(
        asked=asked,
        result=result,
        tables=tables(result, asked),
        page=page or store.folder / f"guidelines-{result.run.id}.html",
    )
    write_page(remeasured)
    return remeasured
