"""A run as it came out: what every command that shows results reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from statistics import median

from groundspeed.artifact import Artifact
from groundspeed.deploy import statistics
from groundspeed.deploy.plan import Cell
from groundspeed.deploy.store.rows import StoredEvaluation, StoredLaunch, StoredRun
from groundspeed.deploy.store.store import Store
from groundspeed.measurement import Launch


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """Everything that is known about one cell of a run.

    Attributes:
        cell: what it is.
        artifact: the measured file, None when there is none.
        export_error: why there is none.
        stored: all launches in the order they were made, failed ones among them.
        evaluation: how right the file is; None without test data.
    """

    cell: Cell
    artifact: Artifact | None
    export_error: str | None
    stored: tuple[StoredLaunch, ...]
    evaluation: StoredEvaluation | None = None

    @property
    def launches(self) -> tuple[Launch, ...]:
        """The latency launches that gave a result, in order."""
        return tuple(
            one.launch for one in self.stored if one.action == "measure" and one.launch is not None
        )

    @property
    def medians_ns(self) -> dict[int, float]:
        """Round -> median of its latency launch, for rounds that gave a result."""
        return {
            one.round: median(one.launch.samples_ns)
            for one in self.stored
            if one.action == "measure" and one.launch is not None
        }

    @property
    def profile(self) -> Launch | None:
        """The launch with per-op times, if one gave a result: of several, the calmest."""
        return calmest(self.profiles)

    @property
    def profiles(self) -> tuple[Launch, ...]:
        """The launches with per-op times that gave a result, in order."""
        return tuple(
            one.launch for one in self.stored if one.action == "profile" and one.launch is not None
        )

    @property
    def failures(self) -> tuple[str, ...]:
        """Why launches failed, in order, each reason once."""
        return tuple(dict.fromkeys(one.error for one in self.stored if one.error is not None))

    @property
    def latency(self) -> statistics.Latency | None:
        """The estimate over the launches, None when there is none."""
        return statistics.latency(self.launches) if self.launches else None


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run with all its cells, in the order of its plan."""

    run: StoredRun
    cells: tuple[CellResult, ...]

    @property
    def emulated(self) -> bool:
        """Whether a launch was made on a device that is known to be emulated."""
        return any(launch.machine.emulated for cell in self.cells for launch in cell.launches)

    @property
    def failed(self) -> bool:
        """Whether a launch or an evaluation failed; what cannot be exported is a finding."""
        return any(
            cell.failures or (cell.evaluation is not None and cell.evaluation.error)
            for cell in self.cells
        )


def calmest(profiled: Iterable[Launch]) -> Launch | None:
    """Return the fastest of profiled launches: other work only ever makes ops slower."""

    def pace(launch: Launch) -> float:
        # Both kinds of run: shares divide what the profiler saw by what it was not there for.
        times = launch.profile
        return median(times.plain_ns) + median(times.profiled_ns) if times else inf

    return min(profiled, key=pace, default=None)


def read(store: Store, run_id: int | None = None) -> RunResult:
    """Return a stored run, by default the newest.

    Raises:
        UsageError: there is no such run.
        StoreError: it cannot be read back.
        ArtifactError: a file that it measured is missing or damaged.
    """
    run = store.run(run_id)
    return RunResult(
        run=run,
        cells=tuple(
            CellResult(
                cell=stored.cell,
                artifact=store.artifact(stored.artifact_id) if stored.artifact_id else None,
                export_error=stored.export_error,
                stored=tuple(store.launches(stored)),
                evaluation=None
                if stored.evaluation_id is None
                else store.evaluation(stored.evaluation_id),
            )
            for stored in store.cells(run)
        ),
    )
