"""The audit of fault campaigns finds what is broken; otherwise its silence would say nothing."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device_tests.campaign import audit
from device_tests.campaign.audit import HUNG, KILLED, MARK, Command, End
from device_tests.campaign.farm import Result
from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.plan import Cell, Plan, Settings, Stop
from groundspeed.deploy.store.rows import StoredLaunch
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.measurement import Job

DONE = End(began=0.0, ended=100.0, code=0, said="")
KILLED_THEN = End(began=0.0, ended=100.0, code=KILLED, said="")
FIRST, SECOND = (1, 2, 3), (4, 5, 6)


@dataclass
class Told:
    """A device that tells what a test lets it tell."""

    name: str = "board"
    told: list[Result] = field(default_factory=list)
    at_once: list[str] = field(default_factory=list)
    running: list[int] = field(default_factory=list)

    def results(self) -> list[Result]:
        return self.told

    def overlaps(self) -> list[str]:
        return self.at_once

    def agents(self) -> list[int]:
        return self.running


Find = Callable[..., tuple[str, ...]]
Runs = tuple[tuple[tuple[int, ...], ...], ...]  # samples of each round of each run


@pytest.fixture
def find(
    store: Store,
    make_artifact: Callable[..., Artifact],
    fake_target: LocalTarget,
    monkeypatch: pytest.MonkeyPatch,
) -> Find:
    """Return a function that audits one command, and returns what is wrong."""
    monkeypatch.setattr(audit, "LEFT_S", 0.0)
    launch = fake_target.run(Job(action="measure", runtime="onnxruntime"))
    artifact = store.keep(make_artifact())

    def run(*rounds: tuple[int, ...], finished: bool = True) -> None:
        source = Source(name="tiny", spec="tiny", digest="d")
        cell = Cell(network=source, runtime="onnxruntime", precision="fp32", threads=1)
        plan = Plan(cells=(cell,), settings=Settings(), target="local", machine_id="m")
        begun = store.add_run(plan)
        for number, samples in enumerate(rounds):
            made = StoredLaunch(
                action="measure",
                round=number,
                position=0,
                started_at="2026-01-01T00:00:00+00:00",
                duration_s=1.5,
                launch=dataclasses.replace(launch, samples_ns=samples),
                error=None,
                comparability=None,
            )
            store.add_launch(store.cells(begun)[0], artifact, made)
        if finished:
            store.finish_run(begun.id, Stop.ROUNDS)

    def find(
        *ends: End,
        runs: Runs = ((FIRST, SECOND),),
        **more: object,
    ) -> tuple[str, ...]:
        finished = bool(more.pop("finished", True))
        for one in runs:
            run(*one, finished=finished)
        command = Command(device="board", file="tiny.onnx", ends=list(ends or [DONE]))
        device = Told(**more)  # type: ignore[arg-type]
        return audit.audit([command], [device], store.folder, {}).wrong

    return find


def test_nothing_is_wrong_when_all_that_was_finished_is_stored(find: Find) -> None:
    assert find(told=[Result(50.0, "tiny.onnx", FIRST), Result(60.0, "tiny.onnx", SECOND)]) == ()


def test_a_result_that_was_finished_and_is_not_stored_is_lost(find: Find) -> None:
    (wrong,) = find(told=[Result(50.0, "tiny.onnx", (7, 8))])
    assert "a result of tiny.onnx is lost" in wrong


@pytest.mark.parametrize(("finished_at", "is_lost"), [(99.0, False), (110.0, False), (20.0, True)])
def test_a_kill_excuses_only_what_nobody_lived_to_fetch(
    find: Find, finished_at: float, is_lost: bool
) -> None:
    again = dataclasses.replace(DONE, began=200.0, ended=300.0)
    wrong = find(KILLED_THEN, again, told=[Result(finished_at, "tiny.onnx", (7, 8))])
    assert bool(wrong) == is_lost


def test_a_job_that_is_stored_twice_is_found_though_its_samples_differ(find: Find) -> None:
    (wrong,) = find(runs=((FIRST, SECOND), ((7, 8), (9, 9))))
    assert "once, whole" in wrong


def test_a_result_that_is_stored_twice_is_found(find: Find) -> None:
    (wrong,) = find(runs=((FIRST,), (FIRST, SECOND)))
    assert "a result is in the store twice" in wrong


def test_a_run_that_nobody_went_on_with_is_found(find: Find) -> None:
    (wrong,) = find(finished=False)
    assert "not gone on with" in wrong


def test_two_at_once_and_agents_left_behind_are_found(find: Find) -> None:
    assert find(at_once=["two at once: x"], running=[7]) == (
        "board: two at once: x",
        "board: process 7",
    )


def test_what_a_command_started_and_left_behind_is_found(find: Find, store: Store) -> None:
    words = [sys.executable, "-c", "input()"]
    mark = {**os.environ, MARK: str(store.folder.parent)}
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=mark) as child:
        (wrong,) = find()
        child.communicate(b"\n")
    assert "left behind" in wrong


@pytest.mark.parametrize(
    ("code", "said", "complaint"),
    [
        (1, "Traceback (most recent call last)\ngroundspeed: no", "with a traceback"),
        (1, "round 1 of launches", "no reason"),
        (HUNG, "", "never ended"),
    ],
)
def test_an_end_without_a_reason_is_found(find: Find, code: int, said: str, complaint: str) -> None:
    (wrong,) = find(dataclasses.replace(DONE, code=code, said=said), DONE)
    assert complaint in wrong


def test_a_command_that_fails_without_faults_is_found(find: Find, tmp_path: Path) -> None:
    (wrong,) = find(dataclasses.replace(DONE, code=1, said="groundspeed: board is not there"))
    assert "no result without faults" in wrong
