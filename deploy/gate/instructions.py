"""A second witness: how many instructions both files execute, which no neighbour can change.

It is evidence beside the verdict and never part of it. More instructions are not always more time,
and a slowdown may lie in caches, memory or clocks, of which a count knows nothing.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass

from groundspeed.artifact import Artifact
from groundspeed.deploy.gate.comparing import Comparison
from groundspeed.deploy.results import CellResult
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets import callgrind
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.target import Target
from groundspeed.documents import dump
from groundspeed.errors import GroundspeedError
from groundspeed.measurement import Job, Options

INFERENCES = 5
PROCESSES = 2  # of each file: their difference is what the count does not determine

# Counts of one file in several environments (other variables, other folders) were apart by up to
# 0.1 %: addresses decide a little of what hash tables and copies execute.
RESOLUTION = 0.002


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """What both files of a comparison execute in an inference.

    Attributes:
        counter: what counted: "callgrind, valgrind-3.19.0".
        old: instructions per inference of the baseline, one number for each process.
        new: the same of the candidate.
        problem: why there are none; "" when there are.
    """

    counter: str = ""
    old: tuple[float, ...] = ()
    new: tuple[float, ...] = ()
    problem: str = ""

    @property
    def change(self) -> float | None:
        """Candidate's mean over the baseline's, minus 1; None without counts."""
        if not self.old or not self.new:
            return None
        return (sum(self.new) / len(self.new)) / (sum(self.old) / len(self.old)) - 1

    @property
    def is_shown(self) -> bool:
        """Whether the counts are further apart than counts of one file may be."""
        if not self.old or not self.new:
            return False
        gap = max(min(self.new) - max(self.old), min(self.old) - max(self.new))
        return gap > RESOLUTION * min(self.old)


def witness(
    comparison: Comparison,
    *,
    store: Store,
    target: Target,
    on_progress: Callable[[str], None] = lambda words: None,
) -> Instructions:
    """Count the instructions of both files; what is stored is not counted again.

    Args:
        comparison: one with launches.
        store: where counts are, and go.
        target: where the launches were made.
        on_progress: called with a sentence about what takes long.
    """
    if not isinstance(target, LocalTarget):
        return Instructions(problem="instructions are counted on this machine alone")
    if comparison.contest.threads > 1:
        return Instructions(problem="instructions are counted with 1 thread alone")
    if comparison.result is None or comparison.evidence is None:
        return Instructions(problem="there is nothing to count: nothing was launched")
    try:
        counter = callgrind.counter()
        counts = []
        for cell in comparison.result.cells:
            assert cell.artifact is not None
            on_progress(f"counting instructions of {cell.artifact.manifest.source.name}")
            counts.append(_counts(cell, cell.artifact, _setting(cell, counter), store))
    except GroundspeedError as error:
        return Instructions(problem=str(error))
    return Instructions(counter=counter, old=counts[0], new=counts[1])


def _counts(cell: CellResult, artifact: Artifact, setting: str, store: Store) -> tuple[float, ...]:
    manifest = artifact.manifest
    while len(store.counts(artifact.id, setting)) < PROCESSES:
        job = Job(
            action="count",
            runtime=manifest.runtime,
            files=artifact.paths,
            options=Options(precision=manifest.precision),
            max_samples=INFERENCES,
            specs=manifest.inputs,
            packages=cell.cell.packages,
        )
        store.add_count(artifact.id, setting, callgrind.instructions(job))
    return tuple(one / INFERENCES for one in store.counts(artifact.id, setting))


def _setting(cell: CellResult, counter: str) -> str:
    """Return all that decides a count but the file, as JSON."""
    key = next(one.comparability for one in cell.stored if one.comparability)
    return dump(
        {
            "counter": counter,
            "inferences": INFERENCES,
            "python": platform.python_version(),
            "launch": key,
        }
    )
