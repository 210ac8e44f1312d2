"""Files that answer on a device: a real sshd on this machine, and the agent in Python behind it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from device_tests.host.deploy.conftest import IMAGE, WEIGHTS
from device_tests.host.deploy.sshd import Sshd
from groundspeed.artifact import Artifact
from groundspeed.deploy import answering
from groundspeed.deploy.agents.in_python import PythonAgent
from groundspeed.deploy.answering import FileOnDevice
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.evaluation import Evaluation
from groundspeed.deploy.targets.jobs import Holder
from groundspeed.deploy.targets.protocol import deadline_s
from groundspeed.deploy.targets.remote import RemoteTarget
from groundspeed.errors import DeviceLost, UsageError
from groundspeed.measurement import Answered, Job

MakeArtifact = Callable[..., Artifact]

COUNT = 37
IMAGES = np.random.default_rng(1).standard_normal((COUNT, *IMAGE)).astype(np.float32)
LABELS = (IMAGES.reshape(COUNT, -1) @ WEIGHTS.T).argmax(1)


@pytest.fixture
def data(tmp_path: Path) -> str:
    np.savez(tmp_path / "samples.npz", x=IMAGES, y=LABELS)
    return str(tmp_path / "samples.npz")


@pytest.fixture
def board(engine: MakeArtifact, tmp_path: Path) -> Iterator[RemoteTarget]:
    """This machine behind ssh, with the made-up engine among its packages."""
    packages = [str(tmp_path / "installed"), str(Path(__file__).parent)]
    with Sshd(tmp_path) as server:
        link = server.link()
        agent = PythonAgent(tmp_path / "agents", python=sys.executable, packages=packages)
        target = RemoteTarget(
            "board", link, agent, state=read_state(link), holder=Holder(name="me@host.1")
        )
        yield target
        target.close()


def here(evaluation: Evaluation) -> Evaluation:
    return dataclasses.replace(evaluation, device="local")


def test_a_device_answers_exactly_as_this_machine(
    engine: MakeArtifact, data: str, board: RemoteTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "LAUNCH_SAMPLES", 20)
    artifacts = {
        "plain": engine("plain"),
        "last": engine("last", layout="NHWC", step=0.5),
        "integers": engine("integers", precision="int8", layout="NHWC", scale=0.04, batch=3),
    }
    said: list[str] = []
    there = evaluate(artifacts, data, target=board, on_sentence=said.append)
    assert there.device == "board"
    assert here(there) == evaluate(artifacts, data)
    # 37 samples, 20 at once or 18 in whole batches of 3: 20 of all and 17 of all are asked.
    assert said.count("answering 20 samples") == 2
    assert said.count("answering 17 samples") == 2
    assert said.count("answering 6 samples") == 2


def test_one_file_that_fails_there_spoils_no_other(
    engine: MakeArtifact, data: str, board: RemoteTarget
) -> None:
    artifacts = {
        "good": engine("good"),
        "crash": engine("crash", behaviour="crash"),
        "raise": engine("raise", behaviour="raise"),
    }
    rows = {row.name: row for row in evaluate(artifacts, data, target=board).rows}
    assert "SIGABRT" in str(rows["crash"].error)
    assert "assertion failed" in str(rows["crash"].error)
    assert "no such kernel" in str(rows["raise"].error)
    assert rows["good"].top1 is not None
    assert rows["good"].top1.count == COUNT


def test_tensors_are_compared_on_this_machine_only(
    engine: MakeArtifact, data: str, board: RemoteTarget
) -> None:
    with pytest.raises(UsageError, match="not on board; leave out --per-tensor"):
        evaluate({"a": engine("a")}, data, target=board, per_tensor=True)


def test_a_launch_has_as_many_samples_as_a_small_device_can_hold(
    engine: MakeArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, batched = (
        FileOnDevice(artifact.folder.name, artifact, Lost())
        for artifact in (engine("plain"), engine("batched", batch=5))
    )
    assert (plain.at_once, batched.at_once) == (256, 255)
    each = (60 + 6) * 4
    monkeypatch.setattr(answering, "LAUNCH_BYTES", 12 * each)
    assert (plain.at_once, batched.at_once) == (12, 10)
    monkeypatch.setattr(answering, "LAUNCH_BYTES", each)
    assert (plain.at_once, batched.at_once) == (1, 5)


def test_more_samples_may_take_longer_but_never_hours() -> None:
    one, many = (
        deadline_s(Job(action="answer", min_samples=count))
        for count in (1, answering.LAUNCH_SAMPLES)
    )
    assert 60 < one < many < 1800


class Lost:
    """A device that is gone when it is asked."""

    name = "board"

    def answer(self, job: Job, on_progress: object = None) -> Answered:
        raise DeviceLost("the board is gone")


def test_a_lost_device_says_nothing_about_the_file(engine: MakeArtifact, data: str) -> None:
    with pytest.raises(DeviceLost):
        evaluate({"a": engine("a")}, data, target=Lost())  # type: ignore[arg-type]
