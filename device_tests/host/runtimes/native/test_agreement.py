"""The native agent and the one in Python: the same job, the same answer."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from device_tests.host.runtimes.native.conversation import ask, document, job_for
from groundspeed.artifact import Artifact
from groundspeed.documents import from_plain
from groundspeed.errors import GroundspeedError, UsageError
from groundspeed.measurement import Answered, Launch, Machine, Options, ProfiledOp
from groundspeed.runtimes import answering
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.conditions import read_machine
from groundspeed.runtimes.feeds import random_feeds
from groundspeed.runtimes.measure import launch

PYTHON = [sys.executable, "-P", "-m", "groundspeed.runtimes.agent"]
NAMES = [f"tiny-{kind}-{bits}" for kind in ("onnx", "tflite", "ncnn") for bits in ("fp32", "int8")]


def comparable(ops: tuple[ProfiledOp, ...]) -> list[ProfiledOp]:
    """Return ops without the names that ONNX Runtime gives to what it inserts: they vary."""
    return [dataclasses.replace(op, name="") if op.inserted else op for op in ops]


@pytest.mark.parametrize("name", NAMES)
def test_both_agents_compute_and_execute_the_same(
    name: str, runners: dict[str, list[str]], artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    artifact = artifacts[name]
    outputs, launches, plain = [], [], []
    for agent in (PYTHON, runners[artifact.manifest.runtime]):
        saved = tmp_path / f"{len(launches)}.npz"
        answer = ask(agent, document(job_for(artifact, tmp_path, action="profile", outputs=saved)))
        assert answer.code == 0, answer.last
        plain.append(answer.last["result"])
        launches.append(from_plain(Launch, answer.last["result"]))
        with np.load(saved, allow_pickle=False) as archive:
            outputs.append(dict(archive))

    ours, native = launches
    assert list(plain[0]) == list(plain[1])
    assert native.profile is not None
    assert ours.profile is not None
    assert comparable(native.profile.ops) == comparable(ours.profile.ops)
    assert native.machine == ours.machine
    assert native.options == ours.options
    assert native.cpus_granted == ours.cpus_granted
    assert native.runtime_version == ours.runtime_version
    assert native.agent_version == ours.agent_version

    assert list(outputs[0]) == list(outputs[1])
    for name, expected in outputs[0].items():
        assert outputs[1][name].dtype == expected.dtype
        # LiteRT and ONNX Runtime are the same library for both. ncnn is compiled here for fewer
        # instructions than in its package, and so adds up in another order.
        tolerance = 1e-5 * np.abs(expected).max() if ours.runtime == "ncnn" else 0
        np.testing.assert_allclose(outputs[1][name], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_both_agents_answer_many_samples_as_they_answer_each(
    name: str, runners: dict[str, list[str]], artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    artifact = artifacts[name]
    runtime = artifact.manifest.runtime
    each = [random_feeds(artifact.manifest.inputs, seed) for seed in range(3)]
    samples = {key: np.stack([feeds[key] for feeds in each]) for key in each[0]}
    asked = job_for(artifact, tmp_path, action="answer", min_samples=3)
    answers = []
    for agent in (PYTHON, runners[runtime]):
        np.savez(tmp_path / "inputs.npz", **samples)
        saved = tmp_path / f"{len(answers)}.npz"
        answer = ask(agent, document(dataclasses.replace(asked, outputs=saved)))
        assert answer.code == 0, answer.last
        assert from_plain(Answered, answer.last["result"]).samples == 3
        assert answer.progress == [f"opening in {runtime}", "answering 3 samples"]
        with np.load(saved, allow_pickle=False) as archive:
            answers.append(dict(archive))
    assert list(answers[0]) == list(answers[1])
    for key, expected in answers[0].items():
        assert answers[1][key].dtype == expected.dtype
        tolerance = 1e-5 * np.abs(expected).max() if runtime == "ncnn" else 0
        np.testing.assert_allclose(answers[1][key], expected, rtol=0, atol=tolerance)
    session = RUNTIMES.load(runtime)().open(artifact.paths, asked.options, asked.specs)
    with contextlib.closing(session):
        for index, feeds in enumerate(each):
            for key, expected in session.run(feeds).items():
                np.testing.assert_array_equal(answers[0][key][index], expected)


@pytest.mark.parametrize("damage", ["fewer", "no outputs", "other type"])
def test_samples_that_do_not_fit_are_refused_alike(
    damage: str, runners: dict[str, list[str]], artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    artifact = artifacts["tiny-ncnn-fp32"]
    asked = job_for(
        artifact,
        tmp_path,
        action="answer",
        min_samples=3,
        outputs=None if damage == "no outputs" else tmp_path / "out.npz",
    )
    spec = artifact.manifest.inputs[0]
    count, dtype = (2 if damage == "fewer" else 3), ("int16" if damage == "other type" else None)
    np.savez(
        tmp_path / "inputs.npz",
        **{spec.name: np.zeros((count, *spec.shape), dtype or spec.dtype)},  # type: ignore[arg-type]
    )
    with pytest.raises(UsageError) as expected:
        answering.answer(asked, lambda sentence: None)
    answer = ask(runners["ncnn"], document(asked))
    assert (answer.error, answer.message) == (expected.type.__name__, str(expected.value))
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("runtime", ["ncnn", "litert", "onnxruntime"])
def test_a_launch_holds_what_was_asked_for(
    runtime: str,
    threads: int,
    runners: dict[str, list[str]],
    artifacts: dict[str, Artifact],
    tmp_path: Path,
) -> None:
    artifact = next(each for each in artifacts.values() if each.manifest.runtime == runtime)
    options = Options(threads=threads)
    asked = job_for(
        artifact, tmp_path, action="profile", min_samples=7, max_samples=7, options=options
    )
    answer = ask(runners[runtime], document(asked))
    measured = from_plain(Launch, answer.last["result"])
    assert len(measured.samples_ns) == 7
    assert min(measured.samples_ns) > 0
    assert measured.first_run_ns > 0
    assert measured.load_ns > 0
    assert measured.warmup_ns
    assert measured.peak_memory_bytes is not None
    assert measured.baseline_memory_bytes is not None
    assert measured.peak_memory_bytes >= measured.baseline_memory_bytes
    profile = measured.profile
    assert profile is not None
    assert len(profile.profiled_ns) == len(profile.plain_ns) == 4
    assert {len(times) for times in profile.times_ns} == {4}
    assert len(profile.times_ns) == len(profile.ops)
    opening, *stages = answer.progress
    assert opening == f"opening in {runtime}"
    assert stages == ["warming up", "sampling", "profiling 4 runs"]


def test_two_threads_compute_what_one_does(
    runners: dict[str, list[str]], artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    artifact = artifacts["tiny-ncnn-fp32"]
    outputs = []
    for threads in (1, 2):
        saved = tmp_path / f"{threads}.npz"
        asked = job_for(artifact, tmp_path, options=Options(threads=threads), outputs=saved)
        assert ask(runners["ncnn"], document(asked)).code == 0
        with np.load(saved) as archive:
            outputs.append(dict(archive))
    np.testing.assert_array_equal(outputs[0]["out0"], outputs[1]["out0"])


@pytest.mark.parametrize("runtime", ["ncnn", "litert", "onnxruntime"])
@pytest.mark.parametrize(
    "damage",
    [
        *("missing", "empty", "cut short", "other role", "not finite", "other shape", "other name"),
        *("no such cpu", "no such precision", "no threads", "no samples", "no such action"),
    ],
)
def test_what_fails_fails_alike(
    damage: str,
    runtime: str,
    runners: dict[str, list[str]],
    artifacts: dict[str, Artifact],
    tmp_path: Path,
) -> None:
    artifact = next(
        each
        for each in artifacts.values()
        if each.manifest.runtime == runtime and each.manifest.precision == "fp32"
    )
    job = job_for(artifact, tmp_path)
    role, path = next(iter(artifact.paths.items()))
    spec = artifact.manifest.inputs[0]
    damaged = tmp_path / path.name
    arrays = {spec.name: np.zeros(spec.shape, spec.dtype)}
    changes: dict[str, object] = {}
    if damage in ("empty", "cut short"):
        content = path.read_bytes()
        damaged.write_bytes(content[: len(content) * 6 // 10] if damage == "cut short" else b"")
    if damage in ("missing", "empty", "cut short"):
        changes["files"] = {**artifact.paths, role: damaged}
    elif damage == "other role":
        changes["files"] = {"elsewhere": path}
    elif damage == "not finite" and runtime == "ncnn":
        # The bias of the last layer: ncnn's ReLU makes 0 of what is no number before.
        damaged = tmp_path / "model.bin"
        weights = artifact.paths["bin"].read_bytes()
        damaged.write_bytes(weights[:-4] + np.float32(np.nan).tobytes())
        changes["files"] = {**artifact.paths, "bin": damaged}
    elif damage == "not finite":
        arrays[spec.name].fill(np.nan)
    elif damage == "other shape":
        arrays = {spec.name: np.zeros((1, 2), spec.dtype)}
    elif damage == "other name":
        arrays["elsewhere"] = arrays.pop(spec.name)
    else:
        changes |= {
            "no such cpu": {"options": Options(cpus=(4000,))},
            "no such precision": {"options": Options(precision="int7")},
            "no threads": {"options": Options(threads=0)},
            "no samples": {"min_samples": 0},
            "no such action": {"action": "dance"},
        }[damage]
    np.savez(tmp_path / "inputs.npz", **arrays)
    asked = dataclasses.replace(job, **changes)  # type: ignore[arg-type]
    with pytest.raises(GroundspeedError) as expected:
        launch(asked, lambda sentence: None)
    answer = ask(runners[runtime], document(asked))
    assert (answer.error, answer.code) == (
        expected.type.__name__,
        expected.value.exit_code,
    )
    assert answer.message


def test_facts_are_those_of_the_machine(runners: dict[str, list[str]]) -> None:
    for runtime, command in runners.items():
        answer = ask(command, '{"action": "facts"}')
        assert answer.code == 0
        assert from_plain(Machine, answer.last["result"]) == read_machine()
        assert list(answer.last["result"]["runtimes"]) == [runtime]
