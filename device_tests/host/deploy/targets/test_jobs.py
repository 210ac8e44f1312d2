"""Jobs on a device: heard, picked up after a break, ended when nobody wants them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundspeed.deploy.targets.jobs import Holder, Jobs, new_id
from groundspeed.errors import DeviceLost, DeviceRefused

ME = Holder(name="me@host.1", lease=7)

# Says what it read, waits for a file if it is told to, and leaves its result as the agent does.
AGENT = """
import os, pathlib, sys, time
wait, status, result = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
pathlib.Path(result.parent, "pid").write_text(str(os.getpid()))
asked = sys.stdin.read()
while wait and not pathlib.Path(wait).exists():
    time.sleep(0.02)
result.write_text("did " + asked)
try:
    print("did " + asked, flush=True)
except OSError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
print("a last word", file=sys.stderr)
sys.exit(status)
"""


def agent(wait: Path | str = "", status: int = 0) -> list[str]:
    return [sys.executable, "-c", AGENT, str(wait), str(status)]


def run(
    link: Any, command: list[str], *, holder: Holder = ME, id: str = "", timeout_s: float = 60.0
) -> tuple[int, list[str]]:
    heard: list[str] = []
    done = Jobs(link, holder, reconnect_s=2).run(
        id or new_id(),
        command,
        "the 'job' $(reboot)",
        timeout_s=timeout_s,
        on_line=heard.append,
        on_progress=lambda sentence: None,
    )
    return done.status, heard


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid_of(link: Any, id: str) -> int:
    file = Path(link.folder, "jobs", id, "pid")
    eventually(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class InBackground:
    """A job that waits for a file, started in a thread."""

    def __init__(self, link: Any, tmp_path: Path, **more: Any) -> None:
        self.id, self.go = new_id(), tmp_path / f"go-{new_id()}"
        self.end: Any = None
        self._thread = threading.Thread(target=self._run, args=(link,), kwargs=more)
        self._thread.start()
        self.pid = pid_of(link, self.id)

    def _run(self, link: Any, **more: Any) -> None:
        try:
            self.end = run(link, agent(self.go), id=self.id, **more)
        except Exception as error:
            self.end = error

    def join(self) -> Any:
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        return self.end


@pytest.mark.parametrize("status", [0, 1, 42])
def test_a_job_is_heard_and_its_exit_status_is_its_own(link: Any, status: int) -> None:
    assert run(link, agent(status=status)) == (status, ["did the 'job' $(reboot)"])


def test_it_says_what_it_complained_of(link: Any) -> None:
    heard: list[str] = []
    done = Jobs(link, ME).run(
        new_id(), agent(status=1), "", timeout_s=60, on_line=heard.append, on_progress=print
    )
    assert done.complaint == "a last word"


def test_a_link_that_breaks_costs_no_result(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path)
    link.cut(away_s=1.0)
    job.go.touch()
    status, heard = job.join()
    assert status == 0
    assert heard == ["did the 'job' $(reboot)"]


def test_a_job_that_goes_on_after_the_break_is_waited_for(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path)
    link.cut()
    time.sleep(1.5)
    assert is_running(job.pid)
    job.go.touch()
    assert job.join() == (0, ["did the 'job' $(reboot)"])


def test_a_device_that_stays_away_is_told(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path)
    link.cut(away_s=60)
    end = job.join()
    assert isinstance(end, DeviceLost)
    assert "did not come back within 2 s" in str(end)
    assert is_running(job.pid)
    job.go.touch()
    eventually(lambda: not is_running(job.pid))


def test_a_job_that_died_with_the_link_is_told(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path)
    link.cut(away_s=1.0)
    os.kill(job.pid, signal.SIGKILL)
    end = job.join()
    assert isinstance(end, DeviceLost)
    assert "its job is gone" in str(end)


def test_a_job_past_its_time_ends_itself(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path, timeout_s=1)
    assert job.join()[0] == 137
    assert not is_running(job.pid)


def test_a_cancelled_job_dies_on_the_device_too(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path)
    Jobs(link, ME).cancel(job.id)
    job.join()
    eventually(lambda: not is_running(job.pid))
    assert not Path(link.folder, "jobs", job.id).exists()


def test_two_holders_never_run_at_once(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path, holder=Holder(name="anna@laptop.2"))
    with pytest.raises(DeviceRefused, match=r"busy with a job of anna@laptop\.2"):
        run(link, agent())
    assert is_running(job.pid)
    job.go.touch()
    assert job.join()[0] == 0
    assert run(link, agent())[0] == 0


def test_a_later_lease_ends_what_an_earlier_one_left(link: Any, tmp_path: Path) -> None:
    left = InBackground(link, tmp_path, holder=Holder(name="me", lease=1))
    assert run(link, agent(), holder=Holder(name="me", lease=2))[0] == 0
    assert not is_running(left.pid)
    left.join()
    with pytest.raises(DeviceRefused, match="somebody else has it now"):
        run(link, agent(), holder=Holder(name="me", lease=1))


def test_many_at_once_are_never_two_at_once(link: Any, tmp_path: Path) -> None:
    """Each of several holders tries at the same moment; those who run never overlap."""
    log = tmp_path / "log"
    script = (
        "import sys, time, pathlib\n"
        f"log = open({str(log)!r}, 'a', buffering=1)\n"
        "log.write('begin\\n'); time.sleep(0.3); log.write('end\\n')\n"
        "pathlib.Path(sys.argv[1]).write_text('done')\n"
    )
    ends: list[Any] = []

    def attempt(index: int) -> None:
        holder = Holder(name=f"holder{index}")
        try:
            ends.append(run(link, [sys.executable, "-c", script], holder=holder)[0])
        except DeviceRefused as error:
            ends.append(str(error))

    threads = [threading.Thread(target=attempt, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    words = log.read_text().split()
    assert words == ["begin", "end"] * (len(words) // 2)
    assert ends.count(0) == len(words) // 2 >= 1
    assert len(ends) == 4


def full(link: Any, id: str, name: str) -> None:
    """Let a file of a job be one that takes nothing, as on a disk that is full."""
    folder = Path(link.folder, "jobs", id)
    folder.mkdir(parents=True)
    (folder / name).symlink_to("/dev/full")


def test_a_full_disk_does_not_make_a_device_forget_the_latest_lease(link: Any) -> None:
    assert run(link, agent())[0] == 0
    id = new_id()
    full(link, id, "lease")
    assert run(link, agent(), id=id, holder=Holder(name=ME.name, lease=8)) == (74, [])
    with pytest.raises(DeviceRefused, match="the lease of"):
        run(link, agent(), holder=Holder(name=ME.name, lease=6))


def test_a_job_that_a_full_disk_does_not_let_be_written_down_does_not_run(link: Any) -> None:
    id = new_id()
    full(link, id, "running")
    assert run(link, agent(wait="/nonexistent"), id=id, timeout_s=30) == (74, [])
    assert not Path(link.folder, "jobs", id).exists()


def test_a_job_whose_status_found_no_room_is_picked_up(link: Any, tmp_path: Path) -> None:
    job = InBackground(link, tmp_path)
    link.cut(away_s=1.0)
    Path(link.folder, "jobs", job.id, "status").touch()
    job.go.touch()
    assert job.join() == (0, ["did the 'job' $(reboot)"])
