"""Counterfactuals against a target whose answers are known exactly, and of a real network."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import nn

from device_tests.host.deploy.feedback.case import (
    INPUT,
    WEATHER,
    Case,
    MakeArtifact,
    TableTarget,
    TurnTarget,
    steadily,
)
from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.counterfactual import LAUNCHES, prove, turn_s
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.finding import Evidence
from groundspeed.deploy.feedback.patterns.pattern import Change, Network
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.plan import Cell, job
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import DataError, LaunchError, UnsupportedOp
from groundspeed.measurement import Job, Launch


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
