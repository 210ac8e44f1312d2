"""Converters that crash, hang, chatter or lie: the asker goes on, and says what happened.

The converters come from a package that is installed for the child only, by an entry point: so
these tests also show that formats from elsewhere are found.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundspeed.errors import ConverterFailed, MissingExtra, UnsupportedOp
from groundspeed.export.convert import convert

WRITERS = """
import os, signal
from groundspeed.errors import UnsupportedOp

class Crashes:
    def write(self, *args, **kwargs):
        print("about to do something stupid", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)

class Raises:
    def write(self, *args, **kwargs):
        raise KeyError("a bug")

class Refuses:
    def write(self, *args, **kwargs):
        print("{not json" * 100_000)
        raise UnsupportedOp("this format has no i0e")
"""
HANGS_WHEN_IMPORTED = """
import os, subprocess, sys, time
from pathlib import Path

helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
processes = Path(os.environ["PROCESSES"])
processes.with_suffix(".part").write_text(f"{os.getpid()} {helper.pid}")
processes.with_suffix(".part").rename(processes)
time.sleep(600)
"""
ENTRIES = """
[groundspeed.formats]
crashes = bad_writers:Crashes
raises = bad_writers:Raises
refuses = bad_writers:Refuses
hangs = hangs_when_imported:Writer
lacking = bad_import:Writer
"""

PARENT = """
import sys
from pathlib import Path
import torch
from groundspeed.export.convert import convert
from groundspeed.export.prepare import prepare

here = Path(sys.argv[1])
prepared = prepare(torch.nn.ReLU(), [torch.randn(1, 3, 8, 8)])
convert(prepared, format="hangs", precision="fp32", layout=None, runtime="onnxruntime",
        folder=here, log=here / "log", timeout_s=600)
"""


@pytest.fixture
def ask(tmp_path, monkeypatch, small):
    """Return a function that asks a bad converter."""
    site = tmp_path / "site"
    info = site / "bad-1.dist-info"
    info.mkdir(parents=True)
    (site / "bad_writers.py").write_text(WRITERS)
    (site / "hangs_when_imported.py").write_text(HANGS_WHEN_IMPORTED)
    (site / "bad_import.py").write_text("import a_package_that_nobody_has")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("PROCESSES", str(tmp_path / "processes"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = tmp_path / "made"
    folder.mkdir()

    def ask(format, timeout_s=120.0):
        return convert(
            small,
            format=format,
            precision="fp32",
            layout=None,
            runtime="onnxruntime",
            folder=folder,
            log=tmp_path / "made.log",
            timeout_s=timeout_s,
        )

    return ask


def runs(process_id):
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_crash_is_told_with_the_last_words_and_the_log_stays(ask, tmp_path):
    with pytest.raises(ConverterFailed, match=r"SIGSEGV.*something stupid.*made\.log"):
        ask("crashes")
    assert "something stupid" in (tmp_path / "made.log").read_text()


def test_a_bug_in_a_writer_is_told_with_its_traceback_in_the_log(ask, tmp_path):
    with pytest.raises(ConverterFailed, match=r"exit code 1.*KeyError: 'a bug'"):
        ask("raises")
    assert "Traceback" in (tmp_path / "made.log").read_text()


def test_one_that_hangs_is_stopped_with_all_that_it_started(ask, tmp_path):
    with pytest.raises(ConverterFailed, match=r"stopped after 10 s.*--timeout"):
        ask("hangs", timeout_s=10)
    started = (tmp_path / "processes").read_text().split()
    # What is killed and not ours to wait for takes a moment to die on a busy machine.
    deadline = time.monotonic() + 30
    while any(map(runs, started)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(runs, started))


@pytest.mark.parametrize(
    ("format", "error", "message"),
    [
        ("refuses", UnsupportedOp, "^this format has no i0e$"),
        ("lacking", MissingExtra, "a_package_that_nobody_has"),
    ],
)
def test_errors_cross_by_class_and_leave_nothing(ask, tmp_path, format, error, message):
    with pytest.raises(error, match=message):
        ask(format)
    assert {path.name for path in tmp_path.iterdir()} == {"site", "made"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children")
def test_a_child_dies_with_its_parent(ask, tmp_path):
    """The parent is killed as ``kill -9`` does, so it can do nothing about its child."""
    processes = tmp_path / "processes"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        deadline = time.monotonic() + 120
        while not processes.is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        child, helper = map(int, processes.read_text().split())
        assert runs(child)
        parent.send_signal(signal.SIGKILL)
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(helper, signal.SIGKILL)  # what the child started is its own matter
    assert not runs(child)
