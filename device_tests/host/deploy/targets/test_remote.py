"""A device over a link, with the real agent in Python on it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundspeed.artifact import TensorSpec
from groundspeed.deploy.agents.archive import agent_archive, archive_bytes
from groundspeed.deploy.agents.in_python import PythonAgent
from groundspeed.deploy.devices.state import parse_state
from groundspeed.deploy.targets.jobs import Holder, Jobs, new_id
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.remote import RemoteTarget
from groundspeed.errors import ArtifactError, DeviceRefused, InputError, LaunchError
from groundspeed.measurement import Job, Launch
from groundspeed.runtimes import onnx_wire

ME = Holder(name="me@host.1")
ANNA = Holder(name="anna@laptop.2")
BOARD = parse_state("name=board\nmodel=Board 5\narchitecture=aarch64\ncpus.online=0-3\nend=1")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "chain.onnx"
    path.write_bytes(onnx_wire.chain("Neg", 3))
    return path


@pytest.fixture
def agent(tmp_path: Path) -> PythonAgent:
    import onnxruntime

    # What a board's own Python finds by itself, this one must be told.
    packages = str(Path(onnxruntime.__file__).parents[1])
    return PythonAgent(tmp_path / "agents", python=sys.executable, packages=[packages])


def target(link: Any, agent: PythonAgent, **more: Any) -> RemoteTarget:
    return RemoteTarget("board", link, agent, state=BOARD, holder=ME, **more)


def job(model: Path, **changes: Any) -> Job:
    few = {"min_samples": 3, "max_samples": 5, "min_seconds": 0.0, "max_warmup_seconds": 0.1}
    return Job(
        **{"action": "measure", "runtime": "onnxruntime", "files": {"model": model}} | few | changes
    )


def test_a_launch_is_what_it_is_here(
    link: Any, agent: PythonAgent, model: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "in.npz", **{"0": np.array([2.5], np.float32)})
    asked = job(model, inputs=tmp_path / "in.npz", outputs=tmp_path / "out.npz")
    heard: list[str] = []
    there = target(link, agent).run(asked, heard.append)
    with np.load(tmp_path / "out.npz") as outputs:
        np.testing.assert_array_equal(outputs["3"], np.array([-2.5], np.float32))
    here = LocalTarget().run(asked)
    assert (there.runtime_version, there.runtime_build) == (
        here.runtime_version,
        here.runtime_build,
    )
    assert there.machine == BOARD.machine
    assert 3 <= len(there.samples_ns) <= 5
    assert heard[0].startswith("pushing")
    assert heard[-1] == "sampling"


def test_a_second_job_pushes_nothing_and_leaves_nothing(
    link: Any, agent: PythonAgent, model: Path
) -> None:
    board = target(link, agent)
    board.run(job(model))
    pushed = list(link.pushed)
    board.run(job(model))
    assert link.pushed == pushed
    assert not [path for path in Path(link.folder, "jobs").iterdir() if path.is_dir()]


def answering(model: Path, folder: Path, values: list[float], **changes: Any) -> Job:
    samples = np.array(values, np.float32)[:, None]
    np.savez(folder / "in.npz", **{"0": samples})
    return job(
        model,
        **{
            "action": "answer",
            "min_samples": len(values),
            "max_samples": len(values),
            "inputs": folder / "in.npz",
            "outputs": folder / "out.npz",
        }
        | changes,
    )


def test_one_launch_answers_many_samples_and_leaves_none_of_them(
    link: Any, agent: PythonAgent, model: Path, tmp_path: Path
) -> None:
    board, heard = target(link, agent), list[str]()
    for values in ([2.5, -1.0, 0.25], [7.0]):
        answered = board.answer(answering(model, tmp_path, values), heard.append)
        assert answered.samples == len(values)
        with np.load(tmp_path / "out.npz") as outputs:
            np.testing.assert_array_equal(outputs["3"], -np.array(values, np.float32)[:, None])
    assert "answering 3 samples" in heard
    assert link.pushed.count("inputs.npz") == 0
    assert link.pushed.count("in.npz") == 2
    assert not list(Path(link.folder).rglob("in*.npz"))
    assert not [path for path in Path(link.folder, "jobs").iterdir() if path.is_dir()]


def test_samples_that_a_host_left_when_it_died_go_before_new_ones_come(
    link: Any, agent: PythonAgent, model: Path, tmp_path: Path
) -> None:
    mine, others = (Path(Jobs(link, holder).prepare(new_id())) for holder in (ME, ANNA))
    for folder in (mine, others):
        (folder / "inputs.npz").write_bytes(b"samples")
    target(link, agent).answer(answering(model, tmp_path, [1.0]))
    assert not mine.exists()
    assert (others / "inputs.npz").exists()


def test_samples_that_do_not_fit_are_told_as_here(
    link: Any, agent: PythonAgent, model: Path, tmp_path: Path
) -> None:
    asked = answering(model, tmp_path, [1.0, 2.0], min_samples=3, max_samples=3)
    with pytest.raises(InputError) as here:
        LocalTarget().answer(asked)
    with pytest.raises(InputError) as there:
        target(link, agent).answer(asked)
    assert str(here.value) == str(there.value)


def test_the_agents_own_error_keeps_its_class(
    link: Any, agent: PythonAgent, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ArtifactError):
        target(link, agent).run(job(broken))


def test_an_agent_that_dies_is_told_with_its_last_words(
    link: Any, agent: PythonAgent, model: Path, tmp_path: Path
) -> None:
    class Dying(PythonAgent):
        def command(self, *given: Any) -> list[str]:
            return ["sh", "-c", "echo the arena is full >&2; kill -SEGV $$"]

    dying = target(link, Dying(tmp_path))
    with pytest.raises(LaunchError, match=r"measure in onnxruntime on board .*SIGSEGV.*arena"):
        dying.run(job(model))


def test_a_job_that_hangs_is_ended_there(link: Any, tmp_path: Path, model: Path) -> None:
    class Hanging(PythonAgent):
        def command(self, *given: Any) -> list[str]:
            return ["sh", "-c", "sleep 100"]

    hanging = target(link, Hanging(tmp_path), timeout_s=1)
    with pytest.raises(LaunchError, match=r"was killed, after 1 s at most"):
        hanging.run(job(model))


def test_a_device_without_a_python_is_told_what_else_there_is(
    link: Any, tmp_path: Path, model: Path
) -> None:
    agent = PythonAgent(tmp_path / "agents", python="python9.9")
    with pytest.raises(DeviceRefused, match=r"has no python9\.9 .*native agent"):
        target(link, agent).run(job(model))


def test_an_agent_that_cannot_make_inputs_gets_those_that_the_other_makes(
    link: Any, agent: PythonAgent, model: Path, tmp_path: Path
) -> None:
    class Given(PythonAgent):
        needs_inputs = True

    specs = (TensorSpec(name="0", shape=(1,), dtype="float32"),)
    outputs = []
    for kind in (PythonAgent, Given):
        asked = job(model, specs=specs, seed=5, outputs=tmp_path / f"{kind.__name__}.npz")
        its = kind(tmp_path / "agents", python=agent._python, packages=agent._packages)
        assert isinstance(target(link, its).run(asked), Launch)
        with np.load(tmp_path / f"{kind.__name__}.npz") as saved:
            outputs.append(saved["3"])
    np.testing.assert_array_equal(*outputs)


def test_the_archive_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert archive_bytes() == archive_bytes()
    assert agent_archive(tmp_path) == agent_archive(tmp_path)
    assert agent_archive(tmp_path).stat().st_size < 200_000
