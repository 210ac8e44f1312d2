"""Accuracy within a run: data that are read first, and results that are never made twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from device_tests.host.deploy.conftest import IMAGE, WEIGHTS
from groundspeed.artifact import Artifact
from groundspeed.deploy.events import Evaluated, Evaluating, Event
from groundspeed.deploy.plan import Cell, Plan, Settings
from groundspeed.deploy.scoring import Scorer, score
from groundspeed.deploy.sources import Network
from groundspeed.deploy.store.rows import StoredEvaluation, StoredLaunch
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import DataError, DeviceLost
from groundspeed.measurement import Answered, Job, Launch
from groundspeed.runtimes.answering import answer

MakeArtifact = Callable[..., Artifact]

COUNT = 24
IMAGES = np.random.default_rng(1).standard_normal((COUNT, *IMAGE)).astype(np.float32)
SCORES = IMAGES.reshape(COUNT, -1) @ WEIGHTS.T
LABELS = np.where(np.arange(COUNT) % 3, SCORES.argmax(1), (SCORES.argmax(1) + 1) % 6)


@pytest.fixture
def network() -> Network:
    linear = torch.nn.Linear(60, 6, bias=False)
    linear.weight.data = torch.from_numpy(WEIGHTS)
    module = torch.nn.Sequential(torch.nn.Flatten(), linear)
    return Network(name="net", spec="net", module=module, inputs=(torch.zeros(1, *IMAGE),))


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    np.savez(tmp_path / "test.npz", x=IMAGES, y=LABELS)
    return str(tmp_path / "test.npz")


class Elsewhere:
    """Another machine, which computes what this one does, or is gone."""

    name = "pi5"

    def __init__(self, *, lost: bool = False) -> None:
        self._lost = lost

    def answer(self, job: Job, on_progress: object = None) -> Answered:
        if self._lost:
            raise DeviceLost("the board is gone")
        return answer(job, lambda words: None)


def scored(
    store: Store,
    artifact: Artifact,
    scorer: Scorer,
    threads: tuple[int, ...] = (1,),
    target: Any = None,
    machine: str = "m",
    launch: Launch | None = None,
) -> tuple[list[StoredEvaluation], list[Event]]:
    """Evaluate an artifact in a new run; return what its cells then have, and the events."""
    kept, source = store.keep(artifact), artifact.manifest.source
    cells = tuple(
        Cell(network=source, runtime="fake", precision="fp32", threads=count) for count in threads
    )
    target = target or LocalTarget()
    plan = Plan(cells=cells, settings=Settings(), target=target.name, machine_id=machine)
    run = store.add_run(plan)
    store.set_artifact([cell.id for cell in store.cells(run)], kept.id)
    for cell in store.cells(run) if launch else ():
        counted = {"action": "measure", "round": 0, "position": 0}
        one = StoredLaunch(**counted, started_at="2026", duration_s=1.0, launch=launch)
        store.add_launch(cell, kept, one)
    events: list[Event] = []
    for _ in range(2):  # the second time as a run that goes on
        score(run, {kept.id: kept}, {source: scorer}, store, target, events.append)
    found = [cell.evaluation_id for cell in store.cells(run)]
    return [store.evaluation(each) for each in found if each is not None], events


def test_a_file_is_evaluated_once_for_all_cells_and_runs(
    engine: MakeArtifact, store: Store, network: Network, labelled: str
) -> None:
    scorer = Scorer(network, labelled)
    artifact = engine("net")
    first, events = scored(store, artifact, scorer, threads=(1, 2))
    assert sum(isinstance(event, Evaluated) for event in events) == 1
    row = first[0].scored
    assert row is not None
    assert row.top1 is not None
    assert row.agreement is not None
    assert row.top1.count == (SCORES.argmax(1) == LABELS).sum()
    assert row.agreement.value == 1.0
    assert first[0] == first[1]

    again, events = scored(store, artifact, Scorer(network, labelled))
    assert again == first[:1]
    assert not any(isinstance(event, Evaluating) for event in events)


def test_each_machine_and_each_version_of_an_engine_has_an_evaluation_of_its_own(
    engine: MakeArtifact,
    store: Store,
    network: Network,
    labelled: str,
    fake_target: LocalTarget,
) -> None:
    scorer, artifact = Scorer(network, labelled), engine("net")
    old = fake_target.run(Job(action="measure", runtime="fake"))
    (here,), _ = scored(store, artifact, scorer, launch=old)
    pi5: dict[str, Any] = {"target": Elsewhere(), "machine": "another"}
    (there,), events = scored(store, artifact, scorer, launch=old, **pi5)
    assert here.evaluation is not None
    assert there.evaluation is not None
    assert (here.evaluation.device, there.evaluation.device) == ("local", "pi5")
    assert replace(there.evaluation, device="local") == here.evaluation
    assert any(isinstance(event, Evaluating) for event in events)
    # The same once more, and then with another engine.
    _, events = scored(store, artifact, scorer, launch=old, **pi5)
    assert not any(isinstance(event, Evaluating) for event in events)
    new = replace(old, runtime_version="2")
    _, events = scored(store, artifact, scorer, launch=new, **pi5)
    assert any(isinstance(event, Evaluating) for event in events)


def test_a_lost_device_is_no_result(
    engine: MakeArtifact, store: Store, network: Network, labelled: str
) -> None:
    scorer, artifact = Scorer(network, labelled), engine("net")
    with pytest.raises(DeviceLost):
        scored(store, artifact, scorer, target=Elsewhere(lost=True))
    (found,), _ = scored(store, artifact, scorer, target=Elsewhere())
    assert found.scored is not None


def test_a_failure_is_told_and_tried_again_by_the_next_run(
    engine: MakeArtifact, store: Store, network: Network, labelled: str
) -> None:
    scorer = Scorer(network, labelled)
    artifact = engine("net", behaviour="nan")
    (failed,), _ = scored(store, artifact, scorer)
    assert failed.scored is None
    assert failed.error is not None
    assert "NaN" in failed.error
    _, events = scored(store, artifact, scorer)
    assert any(isinstance(event, Evaluating) for event in events)


def test_what_decides_the_result_decides_its_digest(
    engine: MakeArtifact, network: Network, labelled: str, tmp_path: Path
) -> None:
    source = engine("net").manifest.source
    np.savez(tmp_path / "relabelled.npz", x=IMAGES, y=LABELS[::-1])
    np.savez(tmp_path / "unlabelled.npz", x=IMAGES)
    np.savez(tmp_path / "copy.npz", x=IMAGES, y=LABELS)

    def digest(data: str, samples: int | None = None, **where: str) -> str:
        scorer = Scorer(network, data, samples=samples)
        return scorer.digest(source, "fake", **{"engine": "1", "machine": "m"} | where)

    same = digest(labelled)
    assert digest(str(tmp_path / "copy.npz")) == same
    others = {
        digest(str(tmp_path / "relabelled.npz")),
        digest(str(tmp_path / "unlabelled.npz")),
        digest(labelled, samples=8),
        digest(labelled, machine="another"),
        digest(labelled, engine="2"),
    }
    assert len(others | {same}) == 6


def test_classes_that_the_network_does_not_know_are_refused(
    network: Network, tmp_path: Path
) -> None:
    np.savez(tmp_path / "many.npz", x=IMAGES, y=np.where(np.arange(COUNT) == COUNT - 1, 6, 0))
    with pytest.raises(DataError, match=r"class 6.*knows 6 classes"):
        Scorer(network, str(tmp_path / "many.npz"))


def test_a_sample_that_is_broken_is_found_at_once(network: Network, tmp_path: Path) -> None:
    broken = IMAGES.copy()
    broken[-1, 0, 0, 0] = np.nan
    np.savez(tmp_path / "broken.npz", x=broken)
    with pytest.raises(DataError, match=f"sample {COUNT - 1} .*NaN"):
        Scorer(network, str(tmp_path / "broken.npz"))
