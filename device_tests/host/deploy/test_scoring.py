"""Accuracy within a run: data that are read first, and results that are never made twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from device_tests.host.deploy.conftest import IMAGE, WEIGHTS
from groundspeed.artifact import Artifact
from groundspeed.deploy.events import Evaluated, Evaluating, Event
from groundspeed.deploy.plan import Cell, Plan, Settings
from groundspeed.deploy.scoring import Scorer, score
from groundspeed.deploy.sources import Network
from groundspeed.deploy.store.rows import StoredEvaluation
from groundspeed.deploy.store.store import Store
from groundspeed.errors import DataError

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


def scored(
    store: Store, artifact: Artifact, scorer: Scorer, threads: tuple[int, ...] = (1,)
) -> tuple[list[StoredEvaluation], list[Event]]:
    """Evaluate an artifact in a new run; return what its cells then have, and the events."""
    kept, source = store.keep(artifact), artifact.manifest.source
    cells = tuple(
        Cell(network=source, runtime="fake", precision="fp32", threads=count) for count in threads
    )
    run = store.add_run(Plan(cells=cells, settings=Settings(), target="local", machine_id="m"))
    store.set_artifact([cell.id for cell in store.cells(run)], kept.id)
    events: list[Event] = []
    for _ in range(2):  # the second time as a run that goes on
        score(run, {kept.id: kept}, {source: scorer}, store, events.append)
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
