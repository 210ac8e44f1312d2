"""What an agent reads and says, whatever it is given."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from device_tests.host.runtimes.native.conversation import ask, document, short_job
from groundspeed.errors import UsageError
from groundspeed.runtimes.agent import read_job

Runners = dict[str, list[str]]

SHAPE = (2, 3, 4)
# A process for each example, so only a few of them.
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def negation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a network that gives back its input with the other sign."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "neg", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = tmp_path_factory.mktemp("onnx") / "negation.onnx"
    onnx.save(model, file)
    return file


@FEW
@given(name=TEXTS, extra=VALUES, ascii=st.booleans())
def test_texts_go_in_and_come_out_unchanged(
    runners: Runners, name: str, extra: Any, ascii: bool
) -> None:
    job = {"unknown": extra, "action": "measure", "runtime": name}
    answer = ask(runners["ncnn"], json.dumps(job, ensure_ascii=ascii))
    assert answer.error == "UnknownName"
    assert f"'{name}'" in answer.message


@FEW
@given(
    text=TEXTS
    | VALUES.map(json.dumps)
    | st.builds(
        lambda value, place: json.dumps({"action": "facts", "seed": value})[:place],
        VALUES,
        st.integers(1, 40),
    )
)
def test_what_is_no_job_for_python_is_none_for_the_runner(runners: Runners, text: str) -> None:
    try:
        read_job(text)
    except UsageError:
        answer = ask(runners["ncnn"], text)
        assert (answer.error, answer.code) == ("UsageError", 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"options": {"threads": "two"}}, "Job.options.threads"),
        ({"options": {"cpus": [0, None]}}, "Job.options.cpus[1]"),
        ({"files": {"model": 1}}, "Job.files.model"),
        ({"min_samples": True}, "Job.min_samples"),
        ({"specs": [{"name": "x", "shape": [1]}]}, "Job.specs[0]"),
        ({"inputs": 5}, "Job.inputs"),
    ],
)
def test_a_field_of_another_type_is_named(
    runners: Runners, changes: dict[str, Any], field: str
) -> None:
    answer = ask(runners["ncnn"], json.dumps({"action": "measure", **changes}))
    assert answer.error == "UsageError"
    assert field in answer.message


def test_a_job_of_a_later_version_is_refused(runners: Runners) -> None:
    answer = ask(runners["ncnn"], '{"action": "facts", "format_version": 99}')
    assert answer.error == "UsageError"
    assert "99" in answer.message


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[" * 100_000, b"", b'"\\ud800"', b"1e999"])
def test_hostile_bytes_are_no_job(runners: Runners, text: bytes) -> None:
    assert ask(runners["ncnn"], text).error == "UsageError"


@FEW
@given(seed=st.integers(0, 2**32 - 1), columns=st.booleans(), scale=st.integers(-37, 38))
def test_arrays_go_in_and_come_out_unchanged(
    runners: Runners, negation: Path, tmp_path: Path, seed: int, columns: bool, scale: int
) -> None:
    values = np.random.default_rng(seed).uniform(-1, 1, SHAPE).astype(np.float32)
    given_array = (values * np.float32(10.0) ** scale).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=np.asfortranarray(given_array) if columns else given_array)
    saved = tmp_path / "out.npz"
    answer = ask(runners["onnxruntime"], document(job_on(negation, tmp_path, outputs=saved)))
    assert answer.code == 0, answer.last
    with np.load(saved, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["y"], -given_array)


@FEW
@given(
    dtype=st.sampled_from(["bool", "int8", "uint16", "float16", "int64", "float64"]),
    shape=st.lists(st.integers(0, 5), max_size=4),
)
def test_an_array_that_does_not_fit_is_described(
    runners: Runners, negation: Path, tmp_path: Path, dtype: str, shape: list[int]
) -> None:
    np.savez(tmp_path / "in.npz", x=np.zeros(shape, dtype))
    answer = ask(runners["onnxruntime"], document(job_on(negation, tmp_path)))
    assert answer.error == "InputError"
    assert (f"has shape {shape}" if tuple(shape) != SHAPE else dtype) in answer.message


@FEW
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans())
@example(place=0.9296875, change=128, cut=False)  # a name that is no UTF-8, in the message
def test_a_damaged_archive_is_refused_or_harmless(
    runners: Runners, negation: Path, tmp_path: Path, place: float, change: int, cut: bool
) -> None:
    values = np.arange(24, dtype=np.float32).reshape(SHAPE)
    np.savez(tmp_path / "in.npz", x=values)
    content = bytearray((tmp_path / "in.npz").read_bytes())
    at = int(place * len(content))
    content[at:] = b"" if cut else bytes([content[at] ^ change]) + content[at + 1 :]
    (tmp_path / "in.npz").write_bytes(content)
    saved = tmp_path / "out.npz"
    answer = ask(runners["onnxruntime"], document(job_on(negation, tmp_path, outputs=saved)))
    if answer.code == 0:  # some bytes of a ZIP archive are nobody's
        assert not cut
        with np.load(saved) as archive:
            np.testing.assert_array_equal(archive["y"], -values)
    else:
        assert answer.error == "InputError"


def test_arrays_that_are_compressed_or_no_arrays_are_refused(
    runners: Runners, negation: Path, tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / "in.npz", x=np.zeros(SHAPE, np.float32))
    answer = ask(runners["onnxruntime"], document(job_on(negation, tmp_path)))
    assert answer.error == "InputError"
    assert "compressed" in answer.message
    (tmp_path / "in.npz").write_text("these are no arrays")
    assert ask(runners["onnxruntime"], document(job_on(negation, tmp_path))).error == "InputError"


def test_without_inputs_the_runner_says_that_it_makes_none(
    runners: Runners, negation: Path
) -> None:
    asked = short_job(runtime="onnxruntime", files={"model": negation})
    answer = ask(runners["onnxruntime"], document(asked))
    assert answer.error == "InputError"
    assert ".npz" in answer.message


def test_the_last_word_is_in_the_file_too(runners: Runners, tmp_path: Path) -> None:
    kept = tmp_path / "result.json"
    answer = ask(runners["ncnn"], '{"action": "facts"}', str(kept))
    assert json.loads(kept.read_text()) == answer.last
    answer = ask(runners["ncnn"], '{"action": "dance"}', str(kept))
    assert json.loads(kept.read_text()) == answer.last
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_listener_that_leaves_costs_no_result(
    runners: Runners, negation: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "result.json"
    np.savez(tmp_path / "in.npz", x=np.zeros(SHAPE, np.float32))
    asked = document(job_on(negation, tmp_path, min_seconds=0.5, max_samples=10**6))
    process = subprocess.Popen(
        [*runners["onnxruntime"], str(kept)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdout.close()
        process.stdin.write(asked.encode())
        process.stdin.close()
        assert process.wait(60) == 0
    assert "result" in json.loads(kept.read_text())


def test_the_agent_dies_with_its_parent(runners: Runners, negation: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.zeros(SHAPE, np.float32))
    (tmp_path / "job.json").write_text(
        document(job_on(negation, tmp_path, min_seconds=600.0, max_samples=10**9))
    )
    # The shell waits, so that it is the parent; it prints the agent's process number first.
    script = '"$@" <"$0" & echo $!; wait'
    shell = subprocess.Popen(
        ["sh", "-c", script, str(tmp_path / "job.json"), *runners["onnxruntime"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert shell.stdout is not None
    with shell:
        agent = Path("/proc", shell.stdout.readline().strip())
        while "sampling" not in shell.stdout.readline():
            pass
        shell.kill()
        deadline = time.monotonic() + 30
        while agent.exists() and " Z " not in agent.joinpath("stat").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def job_on(model: Path, folder: Path, **changes: Any) -> Any:
    return short_job(
        runtime="onnxruntime", files={"model": model}, inputs=folder / "in.npz", **changes
    )
