"""The local target against agents that crash, hang, complain and chatter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundspeed.deploy.targets.catalog import named
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import LaunchError, NonFiniteOutput, UsageError
from groundspeed.measurement import Job

AGENT = str(Path(__file__).with_name("fake_agent.py"))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def wait_for_pid(log: Path) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if log.exists() and log.read_text().endswith("\n"):
            return int(log.read_text().split()[0])
        time.sleep(0.02)
    raise AssertionError("the agent never started")


def test_a_result_comes_back_with_the_progress_before_it(fake_target: LocalTarget) -> None:
    heard: list[str] = []
    launch = fake_target.run(Job(action="measure", runtime="any"), heard.append)
    assert launch.samples_ns == (1000, 1010, 1005)
    assert heard == ["warming up"]


def test_facts_are_those_of_the_machine(fake_target: LocalTarget) -> None:
    assert fake_target.facts().name == "fake"


@pytest.mark.parametrize(
    ("runtime", "kind", "sentence"),
    [
        ("crash", LaunchError, r"SIGSEGV.*the tensor arena is full"),
        ("exit", LaunchError, r"exit code 1.*no such instruction"),
        ("not finite", NonFiniteOutput, "the output 'y' has NaN"),
        ("bug", LaunchError, "ZeroDivisionError: division by zero"),
        ("old", LaunchError, "the same version"),
    ],
)
def test_a_failure_says_what_happened(
    fake_target: LocalTarget, runtime: str, kind: type[LaunchError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        fake_target.run(Job(action="measure", runtime=runtime))


def test_a_launch_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("FAKE_AGENT_LOG", str(log))
    target = LocalTarget(timeout_s=2, command=(sys.executable, AGENT))
    with pytest.raises(LaunchError, match="stopped after 2 s"):
        target.run(Job(action="measure", runtime="hang"))
    assert wait_until_gone(wait_for_pid(log))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_agent_does_not_outlive_us(tmp_path: Path, how: signal.Signals) -> None:
    script = (
        "from groundspeed.deploy.targets.local import LocalTarget\n"
        "from groundspeed.measurement import Job\n"
        f"LocalTarget(command={(sys.executable, AGENT)!r})"
        ".run(Job(action='measure', runtime='hang'))\n"
    )
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"FAKE_AGENT_LOG": str(log)},
        stderr=subprocess.DEVNULL,
    )
    child = wait_for_pid(log)
    parent.send_signal(how)
    parent.wait(timeout=30)
    assert wait_until_gone(child)


def test_an_agent_that_cannot_be_started_is_an_error() -> None:
    with pytest.raises(LaunchError, match="could not be started"):
        LocalTarget(command=("/no/such/python",)).facts()


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no device 'phone'; known: local"):
        named("phone")
