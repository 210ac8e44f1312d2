"""The gate while something goes wrong: no wrong verdict, nothing measured lost.

Each row is a whole 'groundspeed check', of a file against itself or against one with more layers,
in the midst of whose launches something happens:

- load: another process begins to compute on every core;
- pause: the command and all its launches are stopped for some seconds, as a suspended laptop is;
- clock: the wall clock is set forward by an hour, then back by two (needs a C compiler);
- kill: the command and its launches are killed, then the same command is run again;
- lost: it measures over ssh (this machine stands in for a device), and the server is stopped,
  then started, then the same command is run again.

A verdict is wrong when equal files fail or are called faster, or when the slower one passes. Lost
are launches that were stored before the disturbance and are not, or no longer the same, afterwards.

    python benchmarks/gate_disturbances.py [--only NAME] [--layers N] [--pairs N] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from layers import LAYERS, compute, exported
from rows import Row, judge

sys.path.insert(0, str(Path(__file__).parents[1]))
from device_tests.host.deploy.sshd import Sshd

STORED_FIRST = 6  # launches after which something happens
PAUSE_S = 4.0
CLOCK = Path(__file__).with_name("stepping_clock.c")


@dataclass
class Check:
    """A 'groundspeed check' that can be watched, disturbed and run again."""

    folder: Path
    old: Path
    new: Path
    pairs: int
    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> subprocess.Popen[str]:
        """Start the command in a session of its own."""
        words = ["check", str(self.new), "--baseline", str(self.old), "--store", str(self.store)]
        words += ["--pairs", str(self.pairs), "--json", *self.words]
        return subprocess.Popen(
            [sys.executable, "-m", "groundspeed", *words],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def store(self) -> Path:
        """Its folder."""
        return self.folder / "store"

    def stored(self) -> dict[int, bytes]:
        """Return what each stored launch measured, by its key."""
        file = self.store / "results.sqlite"
        if not file.exists():
            return {}
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            try:
                found = connection.execute("SELECT id, samples FROM launch").fetchall()
            except sqlite3.OperationalError:
                return {}  # the tables are being made
        return dict(found)

    def in_midst(self, process: subprocess.Popen[str]) -> dict[int, bytes]:
        """Wait until some launches are stored, and return them."""
        while process.poll() is None and len(self.stored()) < STORED_FIRST:
            time.sleep(0.1)
        return self.stored()


@dataclass(frozen=True)
class End:
    """What came of a disturbed check."""

    verdict: str
    is_faster: bool
    ratio: str
    before: Mapping[int, bytes]
    after: Mapping[int, bytes]

    @property
    def lost(self) -> int:
        """How many launches that were stored are not, or changed."""
        return sum(self.after.get(key) != samples for key, samples in self.before.items())


def ended(process: subprocess.Popen[str], check: Check, before: Mapping[int, bytes]) -> End:
    """Wait for a command and return what came of it: its verdict, or its last words."""
    said, complaints = process.communicate(timeout=1800)
    if not said.strip():
        return End(complaints.strip().splitlines()[-1], False, "", before, check.stored())
    (one,) = json.loads(said)["comparisons"]
    seen = one["evidence"]
    ends = " ".join(f"{math.exp(seen[end]):.4f}" for end in ("low", "estimate", "high"))
    return End(one["verdict"], one["is_faster"], ends, before, check.stored())


def under_load(check: Check) -> End:
    """Let other processes begin to compute."""
    process = check.start()
    before = check.in_midst(process)
    busy = [
        multiprocessing.Process(target=compute, args=(3600.0,), daemon=True)
        for _ in range(os.cpu_count() or 1)
    ]
    for each in busy:
        each.start()
    try:
        return ended(process, check, before)
    finally:
        for each in busy:
            each.kill()


def paused(check: Check) -> End:
    """Stop everything for a while, three times."""
    process = check.start()
    before = check.in_midst(process)
    for _ in range(3):
        if process.poll() is None:
            members = _session(process.pid)
            _signal(members, signal.SIGSTOP)
            time.sleep(PAUSE_S)
            _signal(members, signal.SIGCONT)
            time.sleep(PAUSE_S)
    return ended(process, check, before)


def clock_stepped(check: Check) -> End:
    """Set the wall clock, and only that, for the command and its launches."""
    offset, library = check.folder / "offset", check.folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", CLOCK, "-o", library, "-ldl"], check=True)
    offset.write_text("0")
    check.environment = {"LD_PRELOAD": str(library), "STEPPING_CLOCK": str(offset)}
    process = check.start()
    before = check.in_midst(process)
    offset.write_text("3600")
    time.sleep(PAUSE_S)
    offset.write_text("-3600")
    return ended(process, check, before)


def killed(check: Check) -> End:
    """Kill the command and its launches, and run it again."""
    process = check.start()
    before = check.in_midst(process)
    _signal(_session(process.pid), signal.SIGKILL)
    process.wait()
    return ended(check.start(), check, before)


def lost(check: Check) -> End:
    """Stop the server of a device, start it when the command gave up, and run it again."""
    with Sshd(check.folder) as server:
        programs = check.folder / "bin"
        programs.mkdir()
        for name in ("ssh", "scp"):
            real = shutil.which(name)
            text = f'#!/bin/sh\nexec {real} -F {server.folder / "config"} "$@"\n'
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        check.environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
        (check.folder / "groundspeed.toml").write_text(
            '[devices.board]\naddress = "ssh://board"\nagent = "python"\n'
            f'python = "{sys.executable}"\n'
        )
        check.words = ("--on", "board")
        process = check.start()
        before = check.in_midst(process)
        server.stop()
        if (first := ended(process, check, before)).ratio:
            return first
        with server:
            return ended(check.start(), check, before)


DISTURBANCES: dict[str, Callable[[Check], End]] = {
    "load": under_load,
    "pause": paused,
    "clock": clock_stepped,
    "kill": killed,
    "lost": lost,
}


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each disturbance of each check."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        old = exported(LAYERS, root / "old").folder
        same = exported(LAYERS, root / "same", seed=1).folder  # other weights, the same work
        slower = exported(LAYERS + asked.layers, root / "slower").folder
        for disturbance, disturb in DISTURBANCES.items():
            if disturbance not in (asked.only or DISTURBANCES):
                continue
            for new in (same, slower):
                folder = root / f"{disturbance}-{new.parent.name}"
                folder.mkdir()
                end = disturb(Check(folder, old, new, asked.pairs))
                wrong = (
                    end.verdict == "fail" or end.is_faster if new is same else end.verdict == "pass"
                )
                yield {
                    "disturbance": disturbance,
                    "candidate": "the same" if new is same else f"{asked.layers} layers more",
                    "verdict": end.verdict,
                    "low, ratio, high": end.ratio,
                    "wrong": wrong or not end.ratio,
                    "launches before": len(end.before),
                    "launches after": len(end.after),
                    "lost": end.lost,
                }


def _session(leader: int) -> list[int]:
    """Return the processes of a session, and what they started in sessions of their own."""
    children = psutil.Process(leader).children(recursive=True)
    return [leader, *(child.pid for child in children)]


def _signal(processes: list[int], number: signal.Signals) -> None:
    for each in processes:
        try:
            os.kill(each, number)
        except ProcessLookupError:
            continue


def is_good(row: Row) -> bool:
    """Return whether a verdict is right and nothing was lost."""
    return not (row["wrong"] or row["lost"] or not row["launches before"])


def main() -> int:
    """Return 1 when a verdict was wrong, or something was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(DISTURBANCES))
    parser.add_argument("--layers", type=int, default=4, help="more than the baseline has")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    return judge(rows(asked), is_good, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
