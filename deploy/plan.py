"""What a run is going to do: its cells, and how each is measured.

A cell is a network in a runtime, at a precision, with a number of threads. The plan is complete
before anything is exported or measured, so that its digest tells whether an unfinished run in the
store is this one.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass

from groundspeed import __version__
from groundspeed.artifact import Artifact, Source
from groundspeed.documents import dump
from groundspeed.measurement import Job, Options


class Stop(enum.StrEnum):
    """Why a run makes no more launches."""

    PRECISE = "every interval is as narrow as asked for"
    ROUNDS = "all rounds are spent"
    SECONDS = "the time is spent"
    NOTHING = "no cell can be measured"
    DECIDED = "the launches decide what was asked"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How every cell is measured.

    Attributes:
        half_width: launches go on until each cell's 95% interval reaches no further than this
            share above its estimate; 0 never stops them early. Stopping at a narrow moment has a
            price: with the defaults such intervals hold the truth in 92 to 95% of simulated runs,
            92% where launches differ by 5%; ``min_rounds=8`` makes that 93 to 95%.
        min_rounds: launches of each cell to make at least.
        max_rounds: launches of each cell to make at most.
        max_seconds: no round begins after launches took this long together; None sets no limit.
        sure_rounds: rounds that are made even if they take longer than that.
        min_samples, max_samples, min_seconds, max_warmup_seconds: of each launch, as in ``Job``.
        profile_runs: runs of each profile launch, fewer of a network that takes long; 0 makes none.
        profile_rounds: profile launches of each cell.
        turn_s: where a target can, the launches of a round take turns of this length, so that all
            of them see the same machine; 0 makes them one after the other.
        cpus: logical CPUs to stay on; empty leaves it to the system.
        exporting: what else decides which files are measured (layout, how integers are fitted), as
            JSON: an interrupted run goes on only with the same.
        test: what decides the accuracy of each network's files, as JSON; "" without test data. An
            interrupted run goes on only with the same.
        seed: of the order of launches, and of the random inputs.
    """

    half_width: float = 0.03
    min_rounds: int = 5
    max_rounds: int = 20
    max_seconds: float | None = 600.0
    sure_rounds: int = 1
    min_samples: int = 20
    max_samples: int = 1000
    min_seconds: float = 1.0
    max_warmup_seconds: float = 5.0
    profile_runs: int = 100
    profile_rounds: int = 1
    turn_s: float = 0.0
    cpus: tuple[int, ...] = ()
    exporting: str = ""
    test: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One thing to measure.

    Attributes:
        network: which network, to the last weight.
        runtime, precision, threads: how it runs.
        artifact_id: the artifact to measure, "" when the run exports it.
        packages: exact versions of packages ("onnxruntime==1.31.0") that it runs with, instead of
            those that are installed.
    """

    network: Source
    runtime: str
    precision: str
    threads: int
    artifact_id: str = ""
    packages: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return "squeezenet1_1 in ncnn, fp32, 2 threads"."""
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        other = f", with {', '.join(self.packages)}" if self.packages else ""
        return f"{self.network.name} in {self.runtime}, {self.precision}, {threads}{other}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides what a run does.

    Attributes:
        cells: what to measure.
        settings: how.
        target: name of the target.
        machine_id: digest of what the target says about itself.
        version: version of Groundspeed that made the plan.
    """

    cells: tuple[Cell, ...]
    settings: Settings
    target: str
    machine_id: str
    version: str = __version__

    @property
    def digest(self) -> str:
        """Identity: sha256 over all of it."""
        return hashlib.sha256(dump(self).encode()).hexdigest()

    def order(self, round: int) -> list[int]:
        """Return the ordinals of the cells in the order of a round.

        Each round is shuffled anew, so that no cell always follows the same other one; the order
        rests on the seed and the round alone, so that a resumed run goes on in the same.
        """
        ordinals = list(range(len(self.cells)))
        random.Random(f"{self.settings.seed}/{round}").shuffle(ordinals)
        return ordinals


def product(
    networks: Iterable[Source],
    runtimes: Iterable[str],
    precisions: Iterable[str],
    threads: Iterable[int],
) -> tuple[Cell, ...]:
    """Return a cell for each combination, the first named varying slowest; each once."""
    combinations = itertools.product(networks, runtimes, precisions, threads)
    return tuple(
        dict.fromkeys(
            Cell(network=network, runtime=runtime, precision=precision, threads=count)
            for network, runtime, precision, count in combinations
        )
    )


def job(action: str, cell: Cell, artifact: Artifact, settings: Settings) -> Job:
    """Return the request for one launch of a cell.

    Args:
        action: "measure" or "profile".
        cell: what to launch.
        artifact: the files of the cell.
        settings: how to measure.
    """
    return Job(
        action=action,
        runtime=cell.runtime,
        files={role: path.resolve() for role, path in artifact.paths.items()},
        options=Options(threads=cell.threads, cpus=settings.cpus, precision=cell.precision),
        min_samples=settings.min_samples,
        max_samples=settings.max_samples,
        min_seconds=settings.min_seconds,
        max_warmup_seconds=settings.max_warmup_seconds,
        profile_runs=settings.profile_runs,
        specs=artifact.manifest.inputs,
        seed=settings.seed,
        packages=cell.packages,
    )
