"""Many jobs on devices that go wrong at random, and what is left of it all afterwards.

Commands are processes of their own, through the front door. After the faults, each command that
ended without its results is run once more, as its own message says; then everything must be there.
"""

from __future__ import annotations

import collections
import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from device_tests.campaign.farm import Board, StandInPhone
from groundspeed.deploy.store.store import Store

ROUNDS = 2  # jobs of each command
COMMAND_S = 400.0
LEFT_S = 100.0  # until the last connection that nobody uses any more has closed itself


@dataclass
class Command:
    """One command that measures on a device, and how it ended each time it was run."""

    device: str
    store: Path
    ends: list[tuple[int, str]] = field(default_factory=list)
    killed_at: list[float] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.ends) and self.ends[-1][0] == 0


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


class Campaign:
    """Runs commands and faults.

    Args:
        boards, phone: the devices.
        project: a folder with a file to measure, and a groundspeed.toml that names the devices.
        environment: of all commands.
        seed: of faults and their moments.
    """

    def __init__(
        self,
        boards: list[Board],
        phone: StandInPhone,
        project: Path,
        environment: dict[str, str],
        seed: int,
    ) -> None:
        self._devices = [*boards, phone]
        self._project = project
        self._environment = environment
        self._random = random.Random(seed)
        self._faults: collections.Counter[str] = collections.Counter()
        self._commands: list[Command] = []
        self._over = threading.Event()

    def run(self, jobs: int, *, at_once: int, every_s: float) -> Findings:
        """Make jobs while faults come, about every ``every_s`` seconds, and audit what is left."""
        count = -(-jobs // ROUNDS)
        # One store: its leases are what commands compete for.
        store = self._project / "results"
        for index in range(count):
            device = self._devices[index % len(self._devices)]
            self._commands.append(Command(device=device.name, store=store))
        faults = threading.Thread(target=self._make_faults, args=(every_s,))
        faults.start()
        try:
            self._run_all(self._commands, at_once)
        finally:
            self._over.set()
            faults.join()
        for device in self._devices:
            device.clear()
        again = [command for command in self._commands if not command.is_done]
        self._run_all(again, at_once)
        return self._audit(store)

    def _run_all(self, commands: list[Command], at_once: int) -> None:
        waiting = collections.deque(commands)
        taking = threading.Lock()

        def work() -> None:
            while True:
                with taking:
                    if not waiting:
                        return
                    command = waiting.popleft()
                self._run(command)

        threads = [threading.Thread(target=work) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run(self, command: Command) -> None:
        number = self._commands.index(command)
        words = [
            *(sys.executable, "-m", "groundspeed", "bench", f"net{number}.onnx"),
            *("--on", command.device, "--rounds", str(ROUNDS), "--half-width", "0"),
            *("--store", str(command.store), "--json"),
        ]
        with (self._project / f"command{number}.err").open("a+") as said:
            command.process = subprocess.Popen(
                words,
                cwd=self._project,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
                text=True,
            )
            try:
                code = command.process.wait(COMMAND_S)
            except subprocess.TimeoutExpired:
                command.process.kill()
                code = 999
            said.seek(0)
            command.ends.append((code, said.read()))
        command.process = None

    # ---- faults -------------------------------------------------------------------------------

    def _make_faults(self, every_s: float) -> None:
        faults: dict[str, Callable[[Board | StandInPhone], None]] = {
            "cut": lambda device: device.cut(),
            "freeze": self._freeze,
            "killed agent": lambda device: device.kill_agents(),
            "full disk": self._fill,
            "reboot": lambda device: device.reboot(),
            "killed adb server": self._kill_adb_server,
            "killed groundspeed": self._kill_command,
        }
        names = [*faults]
        turn = self._random.sample(names, len(names))
        while not self._over.wait(self._random.uniform(0.5, 1.5) * every_s):
            turn = turn or self._random.sample(names, len(names))  # each as often as the others
            fault = turn.pop()
            faults[fault](self._random.choice(self._devices))
            self._faults[fault] += 1

    def _freeze(self, device: Board | StandInPhone) -> None:
        device.freeze()
        self._over.wait(self._random.uniform(1, 8))
        device.thaw()

    def _fill(self, device: Board | StandInPhone) -> None:
        device.fill()
        self._over.wait(self._random.uniform(1, 5))
        device.clear()

    def _kill_adb_server(self, device: Board | StandInPhone) -> None:
        port = self._environment["ANDROID_ADB_SERVER_PORT"]
        subprocess.run(["pkill", "-9", "-f", f"adb.*(-P |:){port}.*server"], check=False)

    def _kill_command(self, device: Board | StandInPhone) -> None:
        running = [command for command in self._commands if command.process is not None]
        if running:
            command = self._random.choice(running)
            with contextlib.suppress(AttributeError):  # it ended meanwhile
                command.process.kill()  # type: ignore[union-attr]
                command.killed_at.append(time.time())

    # ---- audit --------------------------------------------------------------------------------

    def _audit(self, folder: Path) -> Findings:
        wrong: list[str] = []
        ends: collections.Counter[str] = collections.Counter()
        for number, command in enumerate(self._commands):
            for code, said in command.ends:
                ends[{0: "result", -9: "killed"}.get(code, "reason")] += 1
                if "Traceback" in said:
                    wrong.append(f"command {number} ended with a traceback: {said[-1500:]}")
                if code not in (0, -9) and not said.strip():
                    wrong.append(f"command {number} ended with {code} and no reason")
                if code == 999:
                    wrong.append(f"command {number} never ended")
            if not command.is_done:
                wrong.append(f"command {number} has no result without faults: {command.ends[-1]}")
        stored = self._stored(folder)
        twice = [samples for samples, times in stored.items() if times > 1]
        wrong += [f"a job is in the store twice: {samples[:3]}" for samples in twice]
        results = again = 0
        kills = [(c.device, at) for c in self._commands for at in c.killed_at]
        for device in self._devices:
            wrong += [f"{device.name}: {words}" for words in device.overlaps()]
            finished = [one for one in device.results() if "samples_ns" in one.get("result", {})]
            results += len(finished)
            lost = [one for one in finished if tuple(one["result"]["samples_ns"]) not in stored]
            again += len(lost)
            # What ended while nobody lived to fetch it is measured again; nothing else is lost.
            deaths = sum(name == device.name for name, _ in kills)
            if len(lost) > deaths:
                wrong.append(f"{device.name}: {len(lost)} results lost, {deaths} commands killed")
        wrong += self._left_behind()
        return Findings(
            jobs=len(self._commands) * ROUNDS,
            commands=len(self._commands),
            faults=dict(sorted(self._faults.items())),
            ends=dict(sorted(ends.items())),
            results=results,
            measured_again=again,
            wrong=tuple(wrong),
        )

    def _stored(self, folder: Path) -> collections.Counter[tuple[int, ...]]:
        """Return how often the store has each result, by its samples: no two are equal."""
        found: collections.Counter[tuple[int, ...]] = collections.Counter()
        with Store(folder) as store:
            for run in store.runs():
                for cell in store.cells(run):
                    for one in store.launches(cell):
                        if one.launch is not None:
                            found[one.launch.samples_ns] += 1
        return found

    def _left_behind(self) -> list[str]:
        """Return the processes that are still there when all had time to end."""
        end = time.monotonic() + LEFT_S
        while True:
            left = [f"{one.name}: process {pid}" for one in self._devices for pid in one.agents()]
            masters = subprocess.run(
                ["pgrep", "-af", f"{self._project.parent}/bin/config"],
                capture_output=True,
                text=True,
            ).stdout.splitlines()
            left += [f"left behind: {line}" for line in masters]
            if not left or time.monotonic() > end:
                return left
            time.sleep(1)
