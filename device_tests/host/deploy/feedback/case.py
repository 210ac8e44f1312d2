"""A network whose launches take what a table says, with patterns that a test makes up."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from groundspeed.artifact import Artifact
from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.counterfactual import LAUNCHES, Proof, prove
from groundspeed.deploy.feedback.detect import Detected, attributed
from groundspeed.deploy.feedback.finding import Finding, Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import OnProgress, Target
from groundspeed.errors import GroundspeedError
from groundspeed.measurement import Job, Launch, Machine, OpProfile, ProfiledOp

MakeArtifact = Callable[..., Artifact]
Table = dict[str, list[int | BaseException]]

INPUT = (torch.zeros(1, 2),)
# The machine is faster and slower in turn, and both launches of a round see that.
WEATHER = (0, 70_000, 20_000, 10_000, 90_000, 30_000)
SIX_ROUNDS = dataclasses.replace(LAUNCHES, max_rounds=len(WEATHER))


def steadily(latency_ns: int) -> list[int | BaseException]:
    return [latency_ns + disturbance for disturbance in WEATHER]


class TableTarget:
    """Answers from a table: name of the network -> the latency of each of its launches."""

    name = "table"

    def __init__(
        self, template: Launch, table: Mapping[str, Sequence[int | BaseException]]
    ) -> None:
        self.template = template
        self.table = table
        self.launched: Counter[str] = Counter()

    def facts(self) -> Machine:
        return self.template.machine

    def cores(self, text: str) -> tuple[int, ...]:
        return ()

    def answer(self, job: Job, on_progress: OnProgress | None = None) -> object:
        raise AssertionError("a counterfactual is told from latencies alone")

    def run(self, job: Job, on_progress: OnProgress | None = None) -> Launch:
        assert job.files is not None
        name = job.files["model"].read_text().removesuffix(" onnxruntime fp32")
        answers = self.table[name]
        answer = answers[self.launched[name] % len(answers)]
        self.launched[name] += 1
        if isinstance(answer, BaseException):
            raise answer
        return dataclasses.replace(
            self.template, runtime=job.runtime, options=job.options, samples_ns=(answer,) * 3
        )


class TurnTarget(TableTarget):
    """The same, and it can let launches take turns."""

    def __init__(
        self, template: Launch, table: Mapping[str, Sequence[int | BaseException]]
    ) -> None:
        super().__init__(template, table)
        self.rounds: list[tuple[int, float]] = []

    def run_by_turns(self, jobs: Sequence[Job], turn_s: float) -> list[Launch | GroundspeedError]:
        self.rounds.append((len(jobs), turn_s))
        return [self.run(job) for job in jobs]


class Writer(Exporter):
    """Writes files that hold nothing but the name of their network."""

    def __init__(
        self, network: sources.Network, make: MakeArtifact, failing: Mapping[str, Exception]
    ) -> None:
        super().__init__(network, Path())
        self._make = make
        self._failing = failing
        self.written: list[str] = []

    def beside(
        self, network: sources.Network, samples: Sequence[tuple[torch.Tensor, ...]] = ()
    ) -> Exporter:
        other = Writer(network, self._make, self._failing)
        other.written = self.written
        return other

    def export(self, format: str, precision: str) -> Artifact:
        self.written.append(self.network.name)
        if self.network.name in self._failing:
            raise self._failing[self.network.name]
        return self._make(self.network.name)


class Case:
    """A network of 1 ms with patterns that a test makes up."""

    def __init__(self, make: MakeArtifact, store: Store, template: Launch) -> None:
        self._store = store
        self._template = template
        self._found: list[Detected] = []
        self.failing: dict[str, Exception] = {}
        own = sources.Network(name="net", spec="net", module=nn.Linear(2, 3), inputs=INPUT)
        self.writer = Writer(own, make, self.failing)
        self.original = make("net")
        self.table: Table = {"net": steadily(1_000_000)}
        self.scene = Scene(
            program=self.writer.prepared.program,  # type: ignore[union-attr]
            manifest=self.original.manifest,
            profile=OpProfile(
                ops=tuple(ProfiledOp(name=f"op{i}", type="Conv") for i in range(4)),
                times_ns=((400_000,) * 8, (300_000,) * 8, (200_000,) * 8, (100_000,) * 8),
                profiled_ns=(1_000_000,) * 8,
                plain_ns=(1_000_000,) * 8,
            ),
            threads=1,
        )

    def has(self, name: str, change: Callable[[], Change | None], *, op: int = 0) -> None:
        """Give the network a pattern; the profile charges it with an op in either of two places."""
        sightings = tuple(
            Sighting(place=Place(module="", line="", ops=(), what=what), charges={op + i: 1.0})
            for i, what in enumerate(("here", "there"))
        )
        cost = attributed(self.scene, sightings)
        places = tuple(one.place for one in sightings)
        self._found.append(
            Detected(
                pattern=Pattern(
                    name=name,
                    guideline="",
                    reason="",
                    source="",
                    example="",
                    find=lambda scene: sightings,
                    change=lambda scene, sightings: change(),
                    advice=lambda scene, sightings: "",
                ),
                sightings=sightings,
                finding=Finding(
                    pattern=name, guideline="", places=places, attributed=cost, advice=""
                ),
            )
        )

    def prove(self, *, budget_s: float = 1000.0, target: Target | None = None) -> Proof:
        return prove(
            self.scene,
            self._found,
            exporter=self.writer,
            original=self.original,
            store=self._store,
            target=target or TableTarget(self._template, self.table),  # type: ignore[arg-type]
            budget_s=budget_s,
            settings=SIX_ROUNDS,
        )
