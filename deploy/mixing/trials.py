"""Mixed files on trial beside the float file: how long they take, and how right they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from groundspeed.artifact import Artifact
from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.evaluation import Scored
from groundspeed.deploy.mixing.counterfactual import compare, rounds_of_launches
from groundspeed.deploy.mixing.judging import points_lost
from groundspeed.deploy.mixing.settings import MixSettings
from groundspeed.deploy.plan import Cell, Settings, job
from groundspeed.deploy.targets.target import Target
from groundspeed.measurement import Job, Launch
from groundspeed.mixing import Candidate

PROFILES = 5  # launches of each file; their scatter is the gains' interval
FLOAT = 0  # position of the candidate without a layer in integers

_LAUNCH = Settings(min_samples=10, min_seconds=0.5, max_warmup_seconds=2.0)

OnProgress = Callable[[str], None]


class Trials:
    """Runs files on the target, and on this machine with data.

    Args:
        target: where latency is measured.
        settings: what the user asks.
        data: what accuracy is judged on, as the user named it.
        seed: of the order of launches, and of the choice among the data.
    """

    def __init__(self, target: Target, settings: MixSettings, *, data: str, seed: int) -> None:
        self._target = target
        self._settings = settings
        self._data = data
        self._seed = seed

    def profiles(self, files: Sequence[Artifact]) -> list[list[Launch]]:
        """Return profiled launches of each file, made in rounds."""
        jobs = [self._job("profile", file) for file in files]
        return rounds_of_launches(self._target, jobs, rounds=PROFILES, seed=self._seed)

    def tried(
        self,
        candidates: Sequence[Candidate],
        files: Mapping[int, Artifact],
        errors: Mapping[int, str],
        on_progress: OnProgress,
    ) -> tuple[Candidate, ...]:
        """Return the candidates with what their files show.

        Args:
            candidates: all of them.
            files: those that have one, by position; the float file first.
            errors: why others could not be made.
            on_progress: called with a short sentence now and then.

        Raises:
            LaunchError: a launch failed.
            CheckError: the float file cannot be evaluated.
        """
        scored = self._scored(files, on_progress) if len(files) > 1 else {}
        crashed = {i: row.error for i, row in scored.items() if row.error is not None}
        going = [i for i in files if i not in crashed]
        launches = self._launched([files[i] for i in going], on_progress)
        measured = {
            i: compare(launches[FLOAT], mixed, drop=_lost(scored[i]))
            for i, mixed in zip(going[1:], launches[1:], strict=True)
        }
        failed = {**errors, **crashed}
        return tuple(
            replace(each, measured=measured.get(i), error=failed.get(i))
            for i, each in enumerate(candidates)
        )

    def _scored(self, files: Mapping[int, Artifact], on_progress: OnProgress) -> dict[int, Scored]:
        """Return how right the files are on their own runtime, there."""
        evaluation = evaluate(
            {str(i): file for i, file in files.items()},
            self._data,
            reference=str(FLOAT),
            samples=self._settings.samples,
            seed=self._seed,
            threads=self._settings.threads,
            target=self._target,
            cpus=self._settings.cpus,
            on_progress=lambda what, done, total: on_progress(f"{what}: {done} of {total}"),
            on_sentence=on_progress,
        )
        return {int(row.name): row for row in evaluation.rows if int(row.name) != FLOAT}

    def _launched(self, files: Sequence[Artifact], on_progress: OnProgress) -> list[list[Launch]]:
        """Return launches of each file, the float file's first; none if it is alone."""
        others = len(files) - 1
        return rounds_of_launches(
            self._target,
            [self._job("measure", file) for file in files],
            rounds=None if others else 0,
            seconds=self._settings.seconds * others,
            seed=self._seed,
            on_progress=on_progress,
        )

    def _job(self, action: str, file: Artifact) -> Job:
        manifest = file.manifest
        cell = Cell(
            network=manifest.source,
            runtime=manifest.runtime,
            precision=manifest.precision,
            threads=self._settings.threads,
        )
        return job(action, cell, file, replace(_LAUNCH, cpus=self._settings.cpus))


def _lost(row: Scored) -> float:
    assert row.agreement is not None
    won = None if row.gained is None or row.lost is None else row.gained - row.lost
    return points_lost(row.agreement.value, won, row.agreement.total)
