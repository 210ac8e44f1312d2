"""Launches that take turns: one computes at a time, each has its own answer, and none is left."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.target import TakesTurns
from groundspeed.deploy.targets.turns import stop, take_turns
from groundspeed.errors import LaunchError, NonFiniteOutput
from groundspeed.measurement import Job, Launch

FAKE_AGENT = str(Path(__file__).parents[1] / "fake_agent.py")

# Notes, again and again, which of the processes named in a file are not stopped.
WATCHER = """
import os, sys, time
from pathlib import Path

def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"

folder = Path(sys.argv[1])
end = time.monotonic() + 120
seen = 0
while seen < 40 and time.monotonic() < end:
    time.sleep(0.002)
    if not (folder / "all").exists():
        continue
    others = set((folder / "all").read_text().split()) - {str(os.getpid())}
    states = [state(pid) for pid in others]
    seen += 1
    with (folder / "log").open("a") as log:
        log.write(f"{os.getpid()} {' '.join(states)}\\n")
"""


def jobs(*runtimes: str) -> list[Job]:
    return [Job(action="measure", runtime=runtime) for runtime in runtimes]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_while_one_computes_the_others_are_stopped(tmp_path: Path) -> None:
    processes = []
    try:
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-c", WATCHER, str(tmp_path)], start_new_session=True, text=True
            )
            processes.append(process)
            stop(process)
        (tmp_path / "all").write_text(" ".join(str(process.pid) for process in processes))
        take_turns(processes, 0.03)
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0, 0]
    seen = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert len(seen) == 120
    computing = [state for _, *states in seen for state in states if state in "RSD"]
    assert len(computing) <= 2  # a look may fall into the moment in which a signal arrives
    writers = [pid for pid, *_ in seen]
    changes = sum(one != two for one, two in itertools.pairwise(writers))
    assert changes > 5


def test_each_job_has_its_own_answer(fake_target: LocalTarget) -> None:
    assert isinstance(fake_target, TakesTurns)
    launches = fake_target.run_by_turns(jobs("a", "b", "c"), 0.05)
    assert all(isinstance(launch, Launch) for launch in launches)
    assert [launch.runtime for launch in launches if isinstance(launch, Launch)] == ["a", "b", "c"]
    assert fake_target.run_by_turns([], 0.05) == []


def test_one_that_fails_leaves_the_others_alone(fake_target: LocalTarget) -> None:
    fine, crashed, refused, exited = fake_target.run_by_turns(
        jobs("a", "crash", "not finite", "exit"), 0.05
    )
    assert isinstance(fine, Launch)
    assert isinstance(crashed, LaunchError)
    assert "SIGSEGV" in str(crashed)
    assert isinstance(refused, NonFiniteOutput)
    assert "no such instruction" in str(exited)


def test_agents_that_hang_are_killed_after_the_time_of_all_together() -> None:
    target = LocalTarget(timeout_s=1, command=(sys.executable, FAKE_AGENT))
    for hung in target.run_by_turns(jobs("hang", "hang"), 0.05):
        assert isinstance(hung, LaunchError)
        assert "stopped after 2 s" in str(hung)


def test_seconds_are_those_of_a_jobs_own_turns(tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.write_text(
        "import json, sys\n"
        "job = json.loads(sys.stdin.readline())\n"
        "words = f\"{job['min_seconds']} {job['max_warmup_seconds']} {job['min_samples']}\"\n"
        "print(json.dumps({'error': {'class': 'LaunchError', 'message': words}}))\n"
    )
    target = LocalTarget(command=(sys.executable, str(agent)))
    asked = Job(action="measure", min_seconds=0.5, max_warmup_seconds=2.0, min_samples=7)
    assert [str(error) for error in target.run_by_turns([asked] * 3, 0.05)] == ["1.5 6.0 7"] * 3


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_agent_outlives_us(tmp_path: Path, how: signal.Signals) -> None:
    script = (
        "from groundspeed.deploy.targets.local import LocalTarget\n"
        "from groundspeed.measurement import Job\n"
        f"LocalTarget(command={(sys.executable, FAKE_AGENT)!r})"
        ".run_by_turns([Job(action='measure', runtime='hang')] * 3, 0.05)\n"
    )
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"FAKE_AGENT_LOG": str(log)},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not log.exists() or log.read_text().count("\n") < 3):
        time.sleep(0.02)
    children = [int(line.split()[0]) for line in log.read_text().splitlines()]
    assert len(children) == 3
    parent.send_signal(how)
    parent.wait(timeout=30)
    deadline = time.monotonic() + 20
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, children))
