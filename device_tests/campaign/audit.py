"""What a campaign left: in the store, on the devices, among the processes, and in what was said.

Nothing is taken from Groundspeed's own account of a run but its store, which is compared with the
journals of the devices.
"""

from __future__ import annotations

import collections
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import psutil

from device_tests.campaign.farm import Result
from groundspeed.deploy.store.store import Store

ROUNDS = 2  # jobs of each command
MARK = "FAULT_CAMPAIGN"  # in the environment of all commands, and so of all that they start
KILLED, HUNG = -9, 999
FETCHED_S = 60.0  # who lives so long after a result has fetched it, even from a frozen board
# What a launch that gave no result is said to have ended in.
_REASON = re.compile(r"ended without a result|: measure in \w+ on \w+ was killed, after")
LEFT_S = 100.0  # until the last connection that nobody uses any more has closed itself


@dataclass(frozen=True, kw_only=True)
class End:
    """How a command ended when it was run once; times are in seconds since 1970."""

    began: float
    ended: float
    code: int
    said: str


@dataclass
class Command:
    """One command that measures a file of its own on a device."""

    device: str
    file: str
    ends: list[End] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.ends) and self.ends[-1].code == 0

    def was_killed(self, at: float) -> bool:
        """Tell whether nobody lived to fetch what was finished at a moment."""
        run = [end for end in self.ends if end.began <= at][-1]
        return run.code == KILLED and run.ended - at < FETCHED_S


class Witness(Protocol):
    """A device, as far as it can tell what happened on it."""

    name: str

    def results(self) -> list[Result]:
        """Return every result that an agent has finished there."""

    def overlaps(self) -> list[str]:
        """Return the jobs that began while another one ran."""

    def agents(self) -> list[int]:
        """Return the processes of agents, and of what watches them."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What came of a campaign; ``wrong`` is empty when all promises were kept."""

    jobs: int
    commands: int
    faults: dict[str, int]
    ends: dict[str, int]
    results: int
    measured_again: int
    wrong: tuple[str, ...]


def audit(
    commands: Sequence[Command],
    devices: Sequence[Witness],
    store: Path,
    faults: dict[str, int],
) -> Findings:
    """Compare what was promised with what is there."""
    wrong = [words for command in commands for words in _said_wrong(command)]
    stored, stored_wrong = _stored(store, commands)
    wrong += stored_wrong
    by_file = {command.file: command for command in commands}
    results = again = 0
    for device in devices:
        wrong += [f"{device.name}: {words}" for words in device.overlaps()]
        for one in device.results():
            results += 1
            if one.samples_ns in stored:
                continue
            if by_file[one.file].was_killed(one.at):
                again += 1
            else:
                wrong.append(f"{device.name}: a result of {one.file} is lost, of {one.at}")
    wrong += _left_behind(devices, str(store.parent))
    kinds = {0: "result", KILLED: "killed"}
    ends = collections.Counter(
        kinds.get(end.code, "reason") for one in commands for end in one.ends
    )
    return Findings(
        jobs=len(commands) * ROUNDS,
        commands=len(commands),
        faults=dict(sorted(faults.items())),
        ends=dict(sorted(ends.items())),
        results=results,
        measured_again=again,
        wrong=tuple(wrong),
    )


def _said_wrong(command: Command) -> Iterator[str]:
    for end in command.ends:
        if "Traceback" in end.said:
            yield f"{command.file} ended with a traceback: {end.said[-1500:]}"
        if end.code == HUNG:
            yield f"{command.file} never ended"
        # A sentence of its own, or one of each cell before the word that nothing can be measured.
        elif end.code not in (0, KILLED) and not (
            "groundspeed: " in end.said or _REASON.search(" ".join(end.said.split()))
        ):
            yield f"{command.file} ended with {end.code} and no reason: {end.said[-500:]}"
    if not command.is_done:
        yield f"{command.file} has no result without faults: {command.ends[-1]}"


def _stored(folder: Path, commands: Sequence[Command]) -> tuple[set[tuple[int, ...]], list[str]]:
    """Return the samples of all results, no two of which are equal, and what is wrong with them.

    A run with a round that ended in a reason is not whole: its command fails, and is run again.
    """
    found: list[tuple[int, ...]] = []
    runs: dict[str, list[_Run]] = collections.defaultdict(list)
    wrong = []
    with Store(folder) as store:
        for run in store.runs():
            finished = run.finished_at and datetime.fromisoformat(run.finished_at).timestamp()
            for cell in store.cells(run):
                made = [one for one in store.launches(cell) if one.launch is not None]
                found += [one.launch.samples_ns for one in made if one.launch is not None]
                measured = sorted(one.round for one in made if one.action == "measure")
                runs[f"{cell.cell.network.name}.onnx"].append(_Run(finished or None, measured))
            if not finished:
                wrong.append(f"run {run.id} was begun, and not gone on with")
    for command in commands:
        done = runs[command.file]
        whole = [one for one in done if one.rounds == [*range(ROUNDS)]]
        # Who is killed after the last result is stored, and starts again, asks for new ones.
        unheard = [one for one in whole if one.finished and command.was_killed(one.finished)]
        if len(whole) - len(unheard) != 1 or any(
            len(set(one.rounds)) < len(one.rounds) for one in done
        ):
            rounds = [one.rounds for one in done]
            wrong.append(
                f"{command.file} is to be in the store once, whole; its rounds are {rounds}"
            )
    twice = [one for one, times in collections.Counter(found).items() if times > 1]
    return set(found), [*wrong, *(f"a result is in the store twice: {one[:3]}" for one in twice)]


@dataclass(frozen=True)
class _Run:
    """A run in the store: when it finished, in seconds since 1970, and the rounds with results."""

    finished: float | None
    rounds: list[int]


def _left_behind(devices: Sequence[Witness], mark: str) -> list[str]:
    """Return the processes that are still there when all had time to end."""
    end = time.monotonic() + LEFT_S
    while True:
        left = [f"{one.name}: process {pid}" for one in devices for pid in one.agents()]
        left += [f"left behind: {' '.join(one.cmdline())[:200]}" for one in marked(mark)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(1)


def marked(mark: str) -> list[psutil.Process]:
    """Return what the commands of a campaign started, but for the adb server, which is to stay."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get(MARK) == mark
            if is_ours and "fork-server" not in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue  # it has ended, or is the kernel's
    return found
