"""Budgets: within, over, or not known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from groundspeed.artifact import Agreement, Artifact, Parity
from groundspeed.deploy.accuracy import Proportion
from groundspeed.deploy.evaluation import Evaluation, Scored
from groundspeed.deploy.gate.budgets import Budget, Spent, spend
from groundspeed.deploy.gate.comparing import Comparison, Contest
from groundspeed.deploy.gate.decision import Rules, Verdict
from groundspeed.deploy.gate.gate import gather
from groundspeed.deploy.report.check_markdown import markdown
from groundspeed.deploy.store.rows import StoredEvaluation
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.measurement import Job, Launch

MakeArtifact = Callable[..., Artifact]
MakeLaunches = Callable[[Sequence[float]], list[Launch]]
LEVEL = 0.01


@pytest.fixture
def artifact(make_artifact: MakeArtifact) -> Artifact:
    return make_artifact("net")


@pytest.fixture
def launches(fake_target: LocalTarget) -> MakeLaunches:
    template = fake_target.run(Job(action="measure", runtime="any"))

    def make(ms: Sequence[float]) -> list[Launch]:
        return [
            dataclasses.replace(
                template,
                samples_ns=(round(1e6 * each),) * 3,
                first_run_ns=round(5e6 * each),
                peak_memory_bytes=round(1e6 * (100 + each)),
                baseline_memory_bytes=100_000_000,
            )
            for each in ms
        ]

    return make


def only(spent: list[Spent]) -> Spent:
    (one,) = spent
    return one


@pytest.mark.parametrize("name", ["max_ms", "max_memory_mb"])
@pytest.mark.parametrize(
    ("limit", "verdict"),
    [(11.0, Verdict.PASS), (9.0, Verdict.FAIL), (10.0, Verdict.INCONCLUSIVE)],
)
def test_what_scatters_is_judged_by_its_interval(
    artifact: Artifact, launches: MakeLaunches, name: str, limit: float, verdict: Verdict
) -> None:
    values = 10 + 0.1 * np.random.default_rng(0).standard_normal(10)
    found = only(spend(Budget(**{name: limit}), artifact, launches(values.tolist()), level=LEVEL))
    assert found.verdict is verdict
    expected = stats.t.interval(1 - 2 * LEVEL, 9, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-5)


def test_the_first_inference_has_a_budget_of_its_own(
    artifact: Artifact, launches: MakeLaunches
) -> None:
    budget = Budget(max_ms=11, max_first_run_ms=11)
    found = spend(budget, artifact, launches([10.0, 10.1, 9.9]), level=LEVEL)
    assert [one.verdict for one in found] == [Verdict.PASS, Verdict.FAIL]


def test_one_launch_is_not_enough(artifact: Artifact, launches: MakeLaunches) -> None:
    found = only(spend(Budget(max_ms=100), artifact, launches([1.0]), level=LEVEL))
    assert (found.verdict, found.value, found.high) == (Verdict.INCONCLUSIVE, 1.0, None)


def test_sizes_and_errors_are_exact(artifact: Artifact) -> None:
    size = sum(file.size_bytes for file in artifact.manifest.files) / 1e6
    assert only(spend(Budget(max_mb=size), artifact, [], level=LEVEL)).verdict is Verdict.PASS
    assert only(spend(Budget(max_mb=size / 2), artifact, [], level=LEVEL)).verdict is Verdict.FAIL
    agreement = Agreement(
        output="y", max_absolute=1.0, max_relative=1e-4, cosine=1.0, psnr_db=80.0, top1=None
    )
    parity = Parity(inputs=1, tolerance=1e-3, agreements=(agreement,), passed=True)
    proven = dataclasses.replace(
        artifact, manifest=dataclasses.replace(artifact.manifest, parity=parity)
    )
    assert only(spend(Budget(max_error=2e-4), proven, [], level=LEVEL)).verdict is Verdict.PASS
    assert only(spend(Budget(max_error=5e-5), proven, [], level=LEVEL)).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [(0.8, Verdict.PASS), (0.95, Verdict.FAIL), (0.9, Verdict.INCONCLUSIVE)],
)
def test_accuracy_is_that_of_the_newest_evaluation(
    artifact: Artifact, limit: float, verdict: Verdict
) -> None:
    row = Scored(
        name="net", runtime="ncnn", precision="fp32", size_bytes=1, top1=Proportion.of(900, 1000)
    )
    evaluation = StoredEvaluation(
        evaluated_at="",
        evaluation=Evaluation(
            data="", samples=1000, labelled=True, reference=None, rows=(row,), notes=()
        ),
    )
    found = only(spend(Budget(min_accuracy=limit), artifact, [], evaluation, level=LEVEL))
    assert found.verdict is verdict


@pytest.mark.parametrize("name", ["max_ms", "max_memory_mb", "max_error", "min_accuracy"])
def test_what_nobody_knows_does_not_pass(artifact: Artifact, name: str) -> None:
    found = only(spend(Budget(**{name: 0.5}), artifact, [], level=LEVEL))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.value is None


def test_a_broken_budget_fails_the_gate(artifact: Artifact) -> None:
    spent = tuple(spend(Budget(max_mb=1e-9), artifact, [], level=LEVEL))
    comparison = Comparison(
        contest=Contest(baseline=artifact, candidate=artifact),
        device="local",
        verdict=Verdict.PASS,
        problem="the same file",
        spent=spent,
    )
    judged = gather([comparison], Rules())
    assert judged.verdict is Verdict.FAIL
    assert "MB in files, budget 1e-09: fail" in markdown(judged)
