"""Instructions of real files under the real Valgrind: the same each time, more for more work."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.gate.comparing import Comparison, Contest, compare
from groundspeed.deploy.gate.decision import Rules
from groundspeed.deploy.gate.instructions import RESOLUTION, Instructions, witness
from groundspeed.deploy.report.check_text import executed
from groundspeed.deploy.sources import Network
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets import callgrind
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import MissingExtra, UsageError
from groundspeed.measurement import Job

LOCAL = LocalTarget()


@pytest.fixture(scope="session", autouse=True)
def valgrind() -> None:
    if shutil.which("valgrind") is None:
        if os.environ.get("GROUNDSPEED_REQUIRE_VALGRIND"):
            pytest.fail("Valgrind is asked for, and is not installed")
        pytest.skip("Valgrind is not installed")


@pytest.fixture(scope="module")
def exporters(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Exporter]:
    """Return networks of one layer and of two that are as large as it."""

    def exporter(layers: int) -> Exporter:
        torch.manual_seed(0)
        module = nn.Sequential(*(nn.Conv2d(32, 32, 3, padding=1) for _ in range(layers))).eval()
        network = Network(
            name="net", spec="net", module=module, inputs=(torch.randn(1, 32, 40, 40),)
        )
        return Exporter(network, tmp_path_factory.mktemp("exports"))

    return {layers: exporter(layers) for layers in (1, 2)}


@pytest.mark.parametrize("format", ["onnx", "tflite", "ncnn"])
def test_twice_the_work_is_about_twice_the_instructions(
    exporters: dict[int, Exporter], format: str
) -> None:
    counts = []
    for layers in (1, 2):
        artifact = exporters[layers].export(format, "fp32")
        job = Job(
            action="count",
            runtime=artifact.manifest.runtime,
            files=artifact.paths,
            specs=artifact.manifest.inputs,
            max_samples=3,
        )
        counts.append(callgrind.instructions(job))
    assert 1.7 < counts[1] / counts[0] < 2.1
    # 3 inferences of 32·32·9·40·40 MACs, of which AVX2 computes 8 in an instruction.
    assert counts[0] > 3 * 32 * 32 * 9 * 40 * 40 / 8 / 4  # Winograd's method takes fewer


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("results")) as opened:
        yield opened


@pytest.fixture(scope="module")
def comparison(exporters: dict[int, Exporter], store: Store) -> Comparison:
    old, new = (store.keep(exporters[layers].export("ncnn", "fp32")) for layers in (1, 2))
    contest = Contest(baseline=old, candidate=new)
    return compare(contest, store=store, target=LOCAL, rules=Rules(pairs=5))


def test_a_change_is_evidence_and_no_latency(comparison: Comparison, store: Store) -> None:
    found = witness(comparison, store=store, target=LOCAL)
    assert max(found.old) == pytest.approx(min(found.old), rel=RESOLUTION)
    assert found.is_shown
    assert found.change is not None
    assert 0.7 < found.change < 1.1
    said = executed(dataclasses.replace(comparison, instructions=found))
    assert f"{100 * found.change:+.1f} %" in said
    assert "a count, not a latency" in said
    same = dataclasses.replace(found, new=found.old)
    assert not same.is_shown
    assert "both files execute" in executed(dataclasses.replace(comparison, instructions=same))


def test_what_is_stored_is_not_counted_again(
    comparison: Comparison, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = witness(comparison, store=store, target=LOCAL)
    monkeypatch.setattr(callgrind, "instructions", lambda job: pytest.fail("counted again"))
    assert witness(comparison, store=store, target=LOCAL) == first
    monkeypatch.setattr(callgrind, "counter", lambda: "callgrind, valgrind-4")
    with pytest.raises(pytest.fail.Exception, match="counted again"):
        witness(comparison, store=store, target=LOCAL)


def test_a_baseline_in_another_runtime_is_counted_in_that(
    comparison: Comparison, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def count(job: Job) -> int:
        asked.append(job.packages)
        return 1000

    monkeypatch.setattr(callgrind, "instructions", count)
    monkeypatch.setattr(callgrind, "counter", lambda: "callgrind, of this test")
    assert comparison.result is not None
    old, new = comparison.result.cells
    old = dataclasses.replace(old, cell=dataclasses.replace(old.cell, packages=("ncnn==1.0",)))
    result = dataclasses.replace(comparison.result, cells=(old, new))
    found = witness(dataclasses.replace(comparison, result=result), store=store, target=LOCAL)
    assert asked == [("ncnn==1.0",)] * 2 + [()] * 2
    assert not found.is_shown


def test_where_nobody_can_count_it_says_why(
    comparison: Comparison, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    two = dataclasses.replace(
        comparison, contest=dataclasses.replace(comparison.contest, threads=2)
    )
    assert "1 thread" in witness(two, store=store, target=LOCAL).problem
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match="apt-get install valgrind"):
        callgrind.counter()
    found = witness(comparison, store=store, target=LOCAL)
    assert "apt-get install valgrind" in found.problem
    said = executed(dataclasses.replace(comparison, instructions=found))
    assert said == found.problem


def test_without_valgrind_nothing_is_taken_for_a_count(exporters: dict[int, Exporter]) -> None:
    artifact = exporters[1].export("ncnn", "fp32")
    job = Job(action="count", runtime="ncnn", files=artifact.paths, specs=artifact.manifest.inputs)
    with pytest.raises(UsageError, match="this process is not"):
        LOCAL.answer(job)


def test_counts_that_are_as_far_apart_as_those_of_one_file_show_nothing() -> None:
    assert not Instructions(old=(1000.0, 1001.0), new=(1001.5, 1002.5)).is_shown
    assert Instructions(old=(1000.0, 1001.0), new=(1004.0, 1004.0)).is_shown
    assert Instructions(old=(1004.0, 1004.0), new=(1000.0, 1001.0)).is_shown
    assert not Instructions(old=(1000.0, 1010.0), new=(1005.0, 1020.0)).is_shown
