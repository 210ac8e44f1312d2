"""Counterfactuals against a target whose answers are known exactly, and of a real network."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import nn

from groundspeed.artifact import Artifact
from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.counterfactual import LAUNCHES, Proof, prove, turn_s
from groundspeed.deploy.feedback.detect import Detected, attributed, detect
from groundspeed.deploy.feedback.finding import Evidence, Finding, Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Network, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.plan import Cell, job
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.target import OnProgress, Target
from groundspeed.errors import DataError, GroundspeedError, LaunchError, UnsupportedOp
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
        raise NotImplementedError

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


@pytest.fixture
def template(fake_target: LocalTarget) -> Launch:
    return fake_target.run(Job(action="measure", runtime="any"))


@pytest.fixture
def case(make_artifact: MakeArtifact, store: Store, template: Launch) -> Case:
    return Case(make_artifact, store, template)


def without(width: int = 1) -> Change:
    return Change(what="nothing", after=Network(module=nn.Linear(2, width), inputs=INPUT))


def test_what_taking_a_pattern_out_saves_is_exact_where_only_the_weather_changes(
    case: Case,
) -> None:
    case.has("shuffle", without)
    case.table["net without shuffle"] = steadily(750_000)
    proof = case.prove()
    (finding,) = proof.findings
    shown = finding.counterfactual
    assert shown is not None
    assert finding.untried == ""
    assert (shown.instead, shown.places, shown.rounds) == ("nothing", 2, 6)
    time = shown.measured.time
    assert (time.ns, time.low_ns, time.high_ns) == pytest.approx((250_000,) * 3)
    assert shown.measured.share == pytest.approx(0.25, rel=0.05)
    assert shown.measured.evidence is Evidence.MEASURED
    assert shown.attributed.time.ns == pytest.approx(700_000)
    assert shown.contradicts
    assert proof.run is not None
    assert [cell.cell.network.name for cell in proof.run.cells] == ["net", "net without shuffle"]


def test_ops_apart_are_compared_with_each_other_and_not_with_the_network(case: Case) -> None:
    before, after = without(5).after, without(6).after
    case.has("groups", lambda: Change(what="dense", before=before, after=after, times=3))
    case.table["net, groups apart"] = steadily(400_000)
    case.table["net, groups apart, replaced"] = steadily(100_000)
    shown = case.prove().findings[0].counterfactual
    assert shown is not None
    assert shown.measured.time.ns == pytest.approx(100_000)
    assert shown.measured.share == pytest.approx(0.1, rel=0.05)


def test_places_that_stay_are_not_held_against_what_was_measured(case: Case) -> None:
    case.has("shuffle", without)
    first = case._found[0].sightings[:1]
    changed = dataclasses.replace(without(), taken=first)
    case._found.clear()
    case.has("shuffle", lambda: changed)
    case.table["net without shuffle"] = steadily(600_000)
    shown = case.prove().findings[0].counterfactual
    assert shown is not None
    assert shown.places == 1
    assert shown.attributed.time.ns == pytest.approx(400_000)
    assert not shown.contradicts


def test_intervals_are_those_of_paired_t_corrected_for_the_number_of_patterns(case: Case) -> None:
    noisy = {"a": [9, 5, 7, 6, 4, 8], "b": [2, 1, 3, 1, 2, 9]}
    for name, noise in noisy.items():
        case.has(name, lambda name=name: without(ord(name)))  # type: ignore[misc]
        case.table[f"net without {name}"] = [
            900_000 + change + 1000 * value for change, value in zip(WEATHER, noise, strict=True)
        ]
    for finding in case.prove().findings:
        shown = finding.counterfactual
        assert shown is not None
        expected = stats.ttest_rel(
            case.table["net"], case.table[f"net without {finding.pattern}"]
        ).confidence_interval(0.975)
        assert shown.measured.time.low_ns == pytest.approx(expected.low)
        assert shown.measured.time.high_ns == pytest.approx(expected.high)


def test_a_change_that_changes_nothing_is_measured_as_a_file_of_its_own(case: Case) -> None:
    case.has("nothing", lambda: Change(what="the same", after=without(3).after))
    case.writer._make = lambda name: case.original
    case.table["net"] = [1_000_000 + i for i in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8)]
    (finding,) = case.prove().findings
    assert finding.counterfactual is not None
    time = finding.counterfactual.measured.time
    assert time.low_ns < 0 < time.high_ns


def test_two_patterns_that_leave_the_same_network_share_a_file(case: Case) -> None:
    shared = without()
    case.has("a", lambda: shared)
    case.has("b", lambda: shared)
    case.table["net without a"] = steadily(500_000)
    findings = case.prove().findings
    assert case.writer.written == ["net without a"]
    assert all(one.counterfactual is not None for one in findings)


def test_what_cannot_be_measured_says_why_and_the_others_are_measured(case: Case) -> None:
    def broken() -> Change:
        raise RuntimeError("shapes do not fit\nand much more")

    loop = Change(what="?", after=Network(module=nn.Conv2d(1, 1, 1), inputs=INPUT))
    case.has("stays", lambda: None)
    case.has("broken", broken)
    case.has("does not run", lambda: loop)
    case.has("no file", lambda: without(4))
    case.has("no data", lambda: without(5))
    case.has("crashes", lambda: without(6))
    case.has("fine", lambda: without(7))
    case.failing["net without no file"] = UnsupportedOp("the op 'fft' has no word in the format")
    case.failing["net without no data"] = DataError("no data fit")
    case.table["net without crashes"] = [LaunchError("SIGSEGV")]
    case.table["net without fine"] = steadily(900_000)
    *others, fine = case.prove().findings
    assert fine.counterfactual is not None
    said = {one.pattern: one.untried for one in others}
    assert all(one.counterfactual is None for one in others)
    assert said["stays"] == "nothing can be put in its place"
    assert said["broken"].endswith("(RuntimeError: shapes do not fit)")
    assert said["does not run"]
    assert said["no file"] == (
        "net without no file cannot be written: the op 'fft' has no word in the format"
    )
    assert said["no data"].endswith("cannot be written: no data fit")
    assert said["crashes"] == "net without crashes cannot be launched: SIGSEGV"


def test_a_small_budget_is_for_the_first_patterns(case: Case) -> None:
    for name in ("first", "second", "third"):
        case.has(name, lambda name=name: without(len(name)))  # type: ignore[misc]
        case.table[f"net without {name}"] = steadily(900_000)
    first, second, third = case.prove(budget_s=40).findings
    assert first.counterfactual is not None
    assert second.counterfactual is not None
    assert third.counterfactual is None
    assert "no time" in third.untried
    assert all("no time" in one.untried for one in case.prove(budget_s=1).findings)


def test_nothing_is_launched_when_there_is_nothing_to_compare(case: Case) -> None:
    case.has("stays", lambda: None)
    assert case.prove().run is None
    assert case.prove(budget_s=1).run is None


def test_an_interrupted_run_goes_on_and_writes_no_file_again(case: Case, template: Launch) -> None:
    case.has("shuffle", without)
    variant = "net without shuffle"
    whole = steadily(750_000)
    case.table[variant] = [*whole[:3], KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        case.prove()
    target = TableTarget(template, {"net": steadily(1_000_000), variant: whole})
    done = Counter({variant: 3, "net": 3})
    target.launched = Counter(done)
    finding = case.prove(target=target).findings[0]  # type: ignore[arg-type]
    assert finding.counterfactual is not None
    assert finding.counterfactual.rounds == 6
    assert case.writer.written == [variant]
    assert target.launched[variant] == 6


def test_launches_take_turns_where_the_target_can(case: Case, template: Launch) -> None:
    case.has("shuffle", without)
    case.table["net without shuffle"] = steadily(750_000)
    target = TurnTarget(template, case.table)
    finding = case.prove(target=target).findings[0]  # type: ignore[arg-type]
    assert finding.counterfactual is not None
    assert finding.counterfactual.measured.time.ns == pytest.approx(250_000)
    assert target.rounds == [(2, 0.1)] * 6


@pytest.mark.parametrize(
    ("inference_s", "turn"), [(1e-5, 0.1), (0.005, 0.1), (0.006, 0.2), (0.02, 0.4), (0.021, 0.8)]
)
def test_a_turn_has_room_for_many_inferences(inference_s: float, turn: float) -> None:
    assert turn_s(inference_s) == pytest.approx(turn)


def test_an_activation_is_taken_out_of_a_real_network(tmp_path: Path, store: Store) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 8, 1), nn.Hardswish())
    own = sources.Network(
        name="tiny", spec="tiny", module=module.eval(), inputs=(torch.randn(1, 3, 32, 32),)
    )
    exporter = Exporter(own, tmp_path)
    original = exporter.export("onnx", "fp32")
    manifest, target = original.manifest, LocalTarget()
    cell = Cell(network=manifest.source, runtime=manifest.runtime, precision="fp32", threads=1)
    brief = dataclasses.replace(LAUNCHES, max_rounds=5, min_seconds=0.05, profile_runs=10)
    launch = target.run(job("profile", cell, original, brief))
    scene = Scene.of(exporter.prepared.program, manifest, launch, 1)  # type: ignore[union-attr]
    found = detect(scene, ["activation"])
    proof = prove(
        scene,
        found,
        exporter=exporter,
        original=original,
        store=store,
        target=target,
        settings=brief,
    )
    (finding,) = proof.findings
    shown = finding.counterfactual
    assert shown is not None, finding.untried
    assert (shown.places, shown.rounds) == (len(finding.places), 5)
    assert shown.measured.time.low_ns < shown.measured.time.ns < shown.measured.time.high_ns
    assert proof.run is not None
    variant = proof.run.cells[1].artifact
    assert variant is not None
    assert variant.manifest.format == "onnx"
    left = [op for op in variant.manifest.ops if op.kind == "activation"]
    assert len(left) == 2 - shown.places


def test_ops_apart_are_calibrated_on_their_own_inputs(tmp_path: Path) -> None:
    own = sources.Network(name="net", spec="net", module=nn.Linear(2, 3), inputs=INPUT)
    inputs = (torch.randn(1, 4, generator=torch.Generator().manual_seed(0)),)
    apart = sources.Network(name="apart", spec="apart", module=nn.Linear(4, 4), inputs=inputs)
    exporter = Exporter(own, tmp_path, quantizing=Quantizing(data="images.npz"))
    quantized = exporter.beside(apart, samples=(inputs,)).quantized
    assert quantized.samples == (inputs,)
    assert quantized.quantization.calibration is not None
    assert quantized.quantization.calibration.data == "example inputs"
