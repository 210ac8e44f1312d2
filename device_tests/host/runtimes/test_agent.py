"""The agent as a process: what goes in, what comes out, whatever happens inside."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundspeed.documents import from_plain, to_plain
from groundspeed.measurement import PRECISIONS, Job, Launch, Machine, Options
from groundspeed.runtimes import onnx_wire

AGENT = [sys.executable, "-P", "-m", "groundspeed.runtimes.agent"]


def ask(text: str, command: list[str] = AGENT) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def document(job: Job) -> str:
    return json.dumps(to_plain(job))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "chain.onnx"
    path.write_bytes(onnx_wire.chain("Neg", 3))
    return path


def job(model: Path, **changes: Any) -> Job:
    few = {"min_samples": 3, "max_samples": 5, "max_warmup_seconds": 0.1, "profile_runs": 4}
    return Job(
        **{"action": "measure", "runtime": "onnxruntime", "files": {"model": model}} | few | changes
    )


def test_a_launch_tells_what_was_measured_and_saves_outputs(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", **{"0": np.array([2.5], np.float32)})
    asked = job(model, action="profile", inputs=tmp_path / "in.npz", outputs=tmp_path / "out.npz")
    code, said = ask(document(asked))
    assert code == 0
    assert [list(line) for line in said[:-1]] == [["progress"]] * (len(said) - 1)
    launch = from_plain(Launch, said[-1]["result"])
    assert 3 <= len(launch.samples_ns) <= 5
    assert launch.profile is not None
    assert {len(times) for times in launch.profile.times_ns} == {4}
    assert launch.peak_memory_bytes is not None
    assert launch.baseline_memory_bytes is not None
    assert launch.peak_memory_bytes >= launch.baseline_memory_bytes
    with np.load(tmp_path / "out.npz") as outputs:
        np.testing.assert_array_equal(outputs["3"], np.array([-2.5], np.float32))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_files_of_every_precision_are_measured(model: Path, precision: str) -> None:
    code, said = ask(document(job(model, options=Options(precision=precision))))
    assert code == 0
    assert from_plain(Launch, said[-1]["result"]).options.precision == precision


def test_facts_are_a_machine_and_the_installed_runtimes() -> None:
    code, said = ask('{"action": "facts"}')
    assert code == 0
    assert from_plain(Machine, said[-1]["result"]).cpus == os.cpu_count()
    assert "onnxruntime" in said[-1]["result"]["runtimes"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "UsageError"),
        ("[]", "UsageError"),
        ('{"runtime": "ncnn"}', "UsageError"),
        ('{"action": "dance"}', "UsageError"),
        ('{"action": "facts", "format_version": 99}', "UsageError"),
        ('{"action": "measure", "runtime": "onnxruntme"}', "UnknownName"),
        ('{"action": "measure", "runtime": "onnxruntime"}', "ArtifactError"),
        (
            '{"action": "measure", "runtime": "onnxruntime", "options": {"cpus": [4000]}}',
            "UsageError",
        ),
        (
            '{"action": "measure", "runtime": "onnxruntime", "options": {"precision": "int7"}}',
            "UsageError",
        ),
    ],
)
def test_a_job_that_cannot_be_done_is_answered_by_its_error(text: str, kind: str) -> None:
    code, said = ask(text)
    assert code == 2
    assert said[-1]["error"]["class"] == kind
    assert said[-1]["error"]["message"]


def test_outputs_that_are_not_finite_are_no_result(tmp_path: Path) -> None:
    path = tmp_path / "log.onnx"
    path.write_bytes(onnx_wire.chain("Log", 1))
    np.savez(tmp_path / "in.npz", **{"0": np.array([-1.0], np.float32)})
    code, said = ask(document(job(path, inputs=tmp_path / "in.npz")))
    assert code == 1
    assert said[-1]["error"]["class"] == "NonFiniteOutput"


def test_an_engine_that_prints_does_not_spoil_the_answer(model: Path) -> None:
    chatty = (
        "import os, sys\nfrom groundspeed.runtimes import agent, measure\n"
        "check = measure.check_finite\n"
        "def chatter(outputs):\n    os.write(1, b'engine speaking')\n    print('me too')\n"
        "    check(outputs)\n"
        "measure.check_finite = chatter\nsys.exit(agent.main())\n"
    )
    code, said = ask(document(job(model)), [sys.executable, "-P", "-c", chatty])
    assert code == 0
    assert "result" in said[-1]


def test_an_agent_killed_in_mid_run_leaves_no_last_word(model: Path) -> None:
    endless = job(model, max_samples=10**9, min_seconds=600.0)
    process = subprocess.Popen(AGENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin:
        process.stdin.write(document(endless))
        process.stdin.close()
        said = [process.stdout.readline() for _ in range(3)]
        process.kill()
        rest = process.stdout.read()
    assert json.loads(said[-1]) == {"progress": "sampling"}
    assert rest == ""


def test_the_last_line_is_in_the_file_whether_or_not_somebody_listens(
    model: Path, tmp_path: Path
) -> None:
    result = tmp_path / "result.json"
    agent = subprocess.Popen(
        [*AGENT, str(result)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert agent.stdin is not None
    assert agent.stdout is not None
    agent.stdout.close()  # the link is gone before the agent says anything
    with agent.stdin:
        agent.stdin.write(document(job(model)))
    assert agent.wait(timeout=60) == 0
    said = json.loads(result.read_text())
    assert len(from_plain(Launch, said["result"]).samples_ns) >= 3


def test_an_error_is_in_the_file_too(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    code, said = ask(document(job(tmp_path / "missing.onnx")), [*AGENT, str(result)])
    assert code == 2
    assert json.loads(result.read_text()) == said[-1]
    assert said[-1]["error"]["class"] == "ArtifactError"


def test_a_result_that_finds_no_room_on_the_disk_is_said_to_who_listens(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()  # nothing can be written below it, whoever runs this
    code, said = ask(document(job(model)), [*AGENT, str(tmp_path / "file" / "result")])
    assert code == 0
    assert len(from_plain(Launch, said[-1]["result"]).samples_ns) >= 3


def test_with_a_file_for_its_result_it_outlives_whoever_started_it(
    model: Path, tmp_path: Path
) -> None:
    result, asked = tmp_path / "result.json", tmp_path / "job.json"
    asked.write_text(document(job(model)))
    starter = "import subprocess, sys; subprocess.Popen(sys.argv[2:], stdin=open(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", starter, asked, *AGENT, result], check=True, timeout=60)
    deadline = time.monotonic() + 60
    while not result.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "result" in json.loads(result.read_text())
