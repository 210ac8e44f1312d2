"""What makes two plans the same run, and in which order a round goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.plan import Plan, Settings, job, product

TINY = Source(name="tiny", spec="tiny", digest="1")


def plan(cells: int = 3, **settings: int) -> Plan:
    return Plan(
        cells=product([TINY], ["ncnn"], ["fp32"], range(1, cells + 1)),
        settings=Settings(**settings),
        target="local",
        machine_id="m",
    )


def test_the_digest_tells_plans_apart_by_everything_that_decides_them() -> None:
    retrained = dataclasses.replace(TINY, digest="2")
    base = plan()
    others = [
        dataclasses.replace(base, cells=product([retrained], ["ncnn"], ["fp32"], (1, 2, 3))),
        dataclasses.replace(base, machine_id="another"),
        dataclasses.replace(base, version="another"),
        plan(2),
        plan(seed=1),
        plan(max_rounds=3),
    ]
    assert plan().digest == base.digest
    assert len({base.digest, *(other.digest for other in others)}) == 1 + len(others)


@given(cells=st.integers(1, 12), round=st.integers(0, 50), seed=st.integers(0, 5))
def test_a_round_has_every_cell_once_and_is_the_same_again(
    cells: int, round: int, seed: int
) -> None:
    order = plan(cells, seed=seed).order(round)
    assert sorted(order) == list(range(cells))
    assert order == plan(cells, seed=seed).order(round)


def test_each_combination_is_one_cell_even_when_named_twice() -> None:
    cells = product([TINY, TINY], ["ncnn", "litert"], ["fp32"], (1, 2, 1))
    assert [(cell.runtime, cell.threads) for cell in cells] == [
        ("ncnn", 1),
        ("ncnn", 2),
        ("litert", 1),
        ("litert", 2),
    ]
    assert str(cells[1]) == "tiny in ncnn, fp32, 2 threads"


def test_a_job_carries_the_settings_and_the_inputs(make_artifact: Callable[..., Artifact]) -> None:
    artifact = make_artifact()
    made = job("profile", plan().cells[1], artifact, Settings(profile_runs=7, cpus=(1,)))
    assert made.profile_runs == 7
    assert (made.options.threads, made.options.cpus) == (2, (1,))
    assert made.specs == artifact.manifest.inputs
    assert made.files is not None
    assert made.files["model"].is_absolute()


def test_another_calibration_is_another_plan() -> None:
    one = plan()
    settings = dataclasses.replace(one.settings, exporting='[null, {"data": "photos"}]')
    other = dataclasses.replace(one, settings=settings)
    assert one.digest != other.digest
