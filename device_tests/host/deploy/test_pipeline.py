"""Runs with measured values known beforehand: order, stopping, failing, and going on."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.benching import bench, profile
from groundspeed.deploy.events import Event, Launched, RoundStarted, RunStarted
from groundspeed.deploy.history import history
from groundspeed.deploy.pipeline import run
from groundspeed.deploy.plan import Cell, Settings
from groundspeed.deploy.results import RunResult, read
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.target import OnProgress
from groundspeed.errors import CheckError, LaunchError, MissingExtra, UnsupportedOp
from groundspeed.measurement import Job, Launch, Machine, OpProfile

MakeArtifact = Callable[..., Artifact]

TINY = Source(name="tiny", spec="tiny", digest="1")
SMALL = Source(name="small", spec="small", digest="2")
ALWAYS = Settings(half_width=0, max_rounds=4, max_seconds=None)  # four rounds, whatever they say


class ScriptedTarget:
    """Answers from a table: runtime -> the medians of its launches, or the error to raise."""

    name = "scripted"

    def __init__(self, template: Launch, script: Mapping[str, list[int | BaseException]]) -> None:
        self.template = template
        self.script = script
        self.jobs: list[Job] = []
        self.version = "1"

    def facts(self) -> Machine:
        return self.template.machine

    def run(self, job: Job, on_progress: OnProgress | None = None) -> Launch:
        self.jobs.append(job)
        answers = self.script.get(job.runtime, [1000])
        count = sum(j.runtime == job.runtime for j in self.jobs)
        answer = answers[min(count, len(answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        profile = OpProfile(ops=(), times_ns=(), profiled_ns=(answer,), plain_ns=(answer,))
        return dataclasses.replace(
            self.template,
            runtime=job.runtime,
            runtime_version=self.version,
            options=job.options,
            samples_ns=(answer,) * 3,
            profile=profile if job.action == "profile" else None,
        )


@pytest.fixture
def template(fake_target: LocalTarget) -> Launch:
    return fake_target.run(Job(action="measure", runtime="any"))


class Case:
    """One store and one way to export, run as often as a test likes."""

    def __init__(self, store: Store, make_artifact: MakeArtifact) -> None:
        self.store = store
        self.make_artifact = make_artifact
        self.exported: list[Cell] = []
        self.events: list[Event] = []

    def export_one(self, cell: Cell) -> Artifact:
        self.exported.append(cell)
        if cell.precision == "fp16":
            raise UnsupportedOp("the op 'fft' has no word in the format")
        return self.make_artifact(cell.network.name, cell.runtime, cell.precision)

    def run(
        self,
        target: ScriptedTarget,
        settings: Settings = ALWAYS,
        *,
        networks: tuple[Source, ...] = (TINY,),
        runtimes: tuple[str, ...] = ("a",),
        precisions: tuple[str, ...] = ("fp32",),
        threads: tuple[int, ...] = (1,),
        fresh: bool = False,
    ) -> RunResult:
        return run(
            networks,
            runtimes,
            precisions,
            threads,
            store=self.store,
            target=target,
            export_one=self.export_one,
            settings=settings,
            fresh=fresh,
            on_event=self.events.append,
        )


@pytest.fixture
def case(store: Store, make_artifact: MakeArtifact) -> Case:
    return Case(store, make_artifact)


# ---- order --------------------------------------------------------------------------------------


def test_every_round_launches_every_cell_once_and_the_profile_comes_last(
    case: Case, template: Launch
) -> None:
    target = ScriptedTarget(template, {})
    result = case.run(target, networks=(TINY, SMALL), runtimes=("a", "b"), threads=(1, 2))
    done = [event for event in case.events if isinstance(event, Launched)]
    for round in range(4):
        cells = [event.cell for event in done[8 * round : 8 * round + 8]]
        assert len(set(cells)) == 8
    assert [event.stored.action for event in done[32:]] == ["profile"] * 8
    orders = {tuple(str(e.cell) for e in done[8 * r : 8 * r + 8]) for r in range(4)}
    assert len(orders) > 1  # tossed anew
    assert len(case.exported) == 4  # threads share the file
    assert all(len(cell.launches) == 4 and cell.profile is not None for cell in result.cells)


def test_of_several_profiles_the_calmest_counts_and_all_are_kept(
    case: Case, template: Launch
) -> None:
    target = ScriptedTarget(template, {"a": [3000, LaunchError("it was killed"), 1000, 2000]})
    settings = Settings(min_rounds=0, max_rounds=0, profile_rounds=4)
    (cell,) = case.run(target, settings).cells
    assert [(one.action, one.round) for one in cell.stored] == [("profile", r) for r in range(4)]
    assert cell.failures == ("it was killed",)
    assert cell.profile is not None
    assert cell.profile.samples_ns == (1000,) * 3


def test_the_same_seed_gives_the_same_order(case: Case, template: Launch) -> None:
    targets = [ScriptedTarget(template, {}) for _ in range(2)]
    for target in targets:
        case.run(target, runtimes=("a", "b", "c"), fresh=True)
    first, second = ([job.runtime for job in target.jobs] for target in targets)
    assert first == second


# ---- stopping -----------------------------------------------------------------------------------


def test_launches_go_on_until_every_interval_is_narrow(case: Case, template: Launch) -> None:
    noisy: list[int | BaseException] = [1000, 1300, 1000, 1010, 1005, *[1004] * 30]
    target = ScriptedTarget(template, {"noisy": noisy})
    result = case.run(target, Settings(half_width=0.1, min_rounds=3), runtimes=("a", "noisy"))
    steady, shaky = result.cells
    assert result.run.stopped == "every interval is as narrow as asked for"
    assert len(steady.launches) == len(shaky.launches) > 3
    assert shaky.latency is not None
    assert shaky.latency.relative_half_width is not None
    assert shaky.latency.relative_half_width <= 0.1


def test_a_budget_ends_the_rounds(case: Case, template: Launch) -> None:
    wild: list[int | BaseException] = [1000, 9000] * 20
    target = ScriptedTarget(template, {"wild": wild})
    rounds = case.run(target, Settings(max_rounds=6), runtimes=("wild",))
    assert rounds.run.stopped == "all rounds are spent"
    assert len(rounds.cells[0].launches) == 6
    seconds = case.run(target, Settings(max_seconds=0), runtimes=("wild",))
    assert seconds.run.stopped == "the time is spent"
    assert len(seconds.cells[0].launches) == 1
    sure = case.run(target, Settings(max_seconds=0, sure_rounds=3), runtimes=("wild",))
    assert sure.run.stopped == "the time is spent"
    assert len(sure.cells[0].launches) == 3


# ---- failing ------------------------------------------------------------------------------------


def test_what_cannot_be_exported_is_a_finding_and_the_rest_goes_on(
    case: Case, template: Launch
) -> None:
    result = case.run(ScriptedTarget(template, {}), precisions=("fp32", "fp16"))
    good, bad = result.cells
    assert good.latency is not None
    assert bad.export_error == "the op 'fft' has no word in the format"
    assert bad.artifact is None
    assert not bad.stored
    assert not result.failed


def test_a_cell_that_fails_is_given_up_and_the_rest_goes_on(case: Case, template: Launch) -> None:
    target = ScriptedTarget(template, {"broken": [LaunchError("SIGSEGV")]})
    result = case.run(target, runtimes=("a", "broken"))
    good, bad = result.cells
    assert len(good.launches) == 4
    assert bad.failures == ("SIGSEGV",)
    assert len(bad.stored) == 2
    assert bad.profile is None
    assert result.failed


def test_one_failure_does_not_end_a_cell(case: Case, template: Launch) -> None:
    target = ScriptedTarget(template, {"a": [1000, LaunchError("killed"), 1000]})
    result = case.run(target)
    assert len(result.cells[0].launches) == 3
    assert result.failed


def test_nothing_to_measure_is_said(case: Case, template: Launch) -> None:
    result = case.run(ScriptedTarget(template, {}), precisions=("fp16",))
    assert result.run.stopped == "no cell can be measured"


def test_a_missing_package_stops_the_run_and_it_goes_on_later(case: Case, template: Launch) -> None:
    target = ScriptedTarget(template, {"a": [MissingExtra("pip install …"), 1000]})
    with pytest.raises(MissingExtra):
        case.run(target)
    assert len(case.run(target).cells[0].launches) == 4
    assert len(case.store.runs()) == 1


# ---- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 2, 7, 12])
def test_an_interrupted_run_goes_on_where_it_was(case: Case, template: Launch, after: int) -> None:
    class Interrupting(ScriptedTarget):
        def run(self, job: Job, on_progress: OnProgress | None = None) -> Launch:
            if len(self.jobs) == after:
                raise KeyboardInterrupt
            return super().run(job, on_progress)

    runtimes = ("a", "b", "c")
    whole = ScriptedTarget(template, {})
    case.run(whole, runtimes=runtimes)
    first, second = Interrupting(template, {}), ScriptedTarget(template, {})
    with pytest.raises(KeyboardInterrupt, match="run the same command again"):
        case.run(first, runtimes=runtimes)
    exports = len(case.exported)
    result = case.run(second, runtimes=runtimes)

    started = [event for event in case.events if isinstance(event, RunStarted)][-1]
    assert started.done == after
    assert len(case.exported) == exports
    assert [j.runtime for j in first.jobs + second.jobs] == [j.runtime for j in whole.jobs]
    assert all(len(cell.stored) == 5 for cell in result.cells)
    assert [run.id for run in case.store.runs()] == [1, 2]


def test_fresh_begins_anew(case: Case, template: Launch) -> None:
    with pytest.raises(KeyboardInterrupt):
        case.run(ScriptedTarget(template, {"a": [1000, KeyboardInterrupt()]}))
    assert case.run(ScriptedTarget(template, {}), fresh=True).run.id == 2


def test_a_run_that_another_process_works_at_is_left_alone(case: Case, template: Launch) -> None:
    with pytest.raises(KeyboardInterrupt):
        case.run(ScriptedTarget(template, {"a": [1000, KeyboardInterrupt()]}))
    with case.store.claim(1):
        assert case.run(ScriptedTarget(template, {})).run.id == 2
    assert case.run(ScriptedTarget(template, {})).run.id == 1


def test_a_complete_run_is_made_again(case: Case, template: Launch) -> None:
    target = ScriptedTarget(template, {})
    assert [case.run(target).run.id, case.run(target).run.id] == [1, 2]


def test_a_run_does_not_go_on_with_another_runtime_version(case: Case, template: Launch) -> None:
    with pytest.raises(KeyboardInterrupt):
        case.run(ScriptedTarget(template, {"a": [1000, KeyboardInterrupt()]}))
    upgraded = ScriptedTarget(template, {})
    upgraded.version = "2"
    with pytest.raises(CheckError, match=r"runtime_version was 1, is 2.*--fresh"):
        case.run(upgraded)


# ---- files that exist already -------------------------------------------------------------------


def test_files_are_benched_and_profiled(
    store: Store, make_artifact: MakeArtifact, template: Launch
) -> None:
    artifacts = [make_artifact(runtime=runtime) for runtime in ("a", "b")]
    target = ScriptedTarget(template, {"a": [1000], "b": [2000]})
    measured = bench(artifacts, (1, 2), store=store, target=target)
    assert [len(cell.launches) for cell in measured.cells] == [5] * 4
    assert all(cell.profile is None for cell in measured.cells)
    profiled = profile(artifacts, store=store, target=target)
    assert all(cell.profile and not cell.launches for cell in profiled.cells)

    entries = history(store, network="tiny")
    assert [entry.estimate_ns for entry in entries] == pytest.approx([1000, 1000, 2000, 2000])
    assert len(history(store, runtime="b")) == 2
    assert entries[0].artifact_id == artifacts[0].id
    assert read(store, measured.run.id) == measured


# ---- killed -------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from groundspeed.artifact import Artifact
from groundspeed.deploy.benching import bench
from groundspeed.deploy.plan import Settings
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget

folder, agent, *artifacts = sys.argv[1:]
with Store(Path(folder)) as store:
    bench(
        [Artifact.open(Path(path)) for path in artifacts],
        store=store,
        target=LocalTarget(command=(sys.executable, agent)),
        settings=Settings(half_width=0, max_rounds=6, profile_runs=1),
    )
"""


def test_a_run_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, make_artifact: MakeArtifact
) -> None:
    folder, log = tmp_path / "results", tmp_path / "log"
    agent = Path(__file__).with_name("fake_agent.py")
    artifacts = [str(make_artifact(runtime=runtime).folder) for runtime in ("a", "b")]
    command = [sys.executable, "-c", SCRIPT, str(folder), str(agent), *artifacts]
    environment = os.environ | {"FAKE_AGENT_LOG": str(log), "FAKE_AGENT_SLEEP_S": "0.1"}

    def launches() -> int:
        return len(re.findall("\n", log.read_text())) if log.exists() else 0

    kills = 0
    for target in (2, 5, 9):
        process = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 60
        while launches() < target and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait(timeout=30) == -signal.SIGKILL
    assert kills == 3
    subprocess.run(command, env=environment, check=True, timeout=120)

    with Store(folder) as store:
        assert len(store.runs()) == 1
        result = read(store)
        for cell in result.cells:
            done = Counter((one.action, one.round) for one in cell.stored)
            assert done == Counter([*(("measure", r) for r in range(6)), ("profile", 0)])
        assert not result.failed
    # Each kill costs at most the one launch that was going on: nothing stored was done again.
    assert launches() <= 14 + kills


def test_rounds_are_told_with_the_widest_interval(case: Case, template: Launch) -> None:
    case.run(ScriptedTarget(template, {}))
    rounds = [event for event in case.events if isinstance(event, RoundStarted)]
    widths = [event.widest for event in rounds if event.action == "measure"]
    assert widths[:2] == [None, None]
    assert widths[2] == pytest.approx(0)
