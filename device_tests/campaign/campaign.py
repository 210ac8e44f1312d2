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
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from device_tests.campaign.audit import HUNG, MARK, ROUNDS, Command, End, Findings, audit
from device_tests.campaign.farm import Board, StandInPhone

COMMAND_S = 600.0


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
        for number in range(count):
            device = self._random.choice(self._devices)
            self._commands.append(Command(device=device.name, file=f"net{number}.onnx"))
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
        return audit(self._commands, self._devices, store, dict(self._faults))

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
        words = [
            *(sys.executable, "-m", "groundspeed", "bench", command.file),
            *("--on", command.device, "--rounds", str(ROUNDS), "--half-width", "0"),
            *("--budget", "1h"),  # on a busy machine, the usual one may end before the last round
            *("--store", str(self._project / "results"), "--json"),
        ]
        began = time.time()
        with tempfile.TemporaryFile("w+") as said:
            command.process = subprocess.Popen(
                words,
                cwd=self._project,
                env={**self._environment, MARK: str(self._project)},
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
                code = HUNG
            said.seek(0)
            end = End(began=began, ended=time.time(), code=code, said=said.read())
        command.process = None
        command.ends.append(end)

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
        # Mostly shorter than a link's patience, which is 15 s, now and then much longer.
        self._over.wait(self._random.lognormvariate(1.5, 1))
        device.thaw()

    def _fill(self, device: Board | StandInPhone) -> None:
        device.fill()
        self._over.wait(self._random.uniform(1, 5))
        device.clear()

    def _kill_adb_server(self, device: Board | StandInPhone) -> None:
        port = self._environment["ANDROID_ADB_SERVER_PORT"]
        for process in psutil.process_iter(["cmdline"]):
            if {f"tcp:{port}", "fork-server"} <= set(process.info["cmdline"] or ()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def _kill_command(self, device: Board | StandInPhone) -> None:
        running = [one.process for one in self._commands if one.process is not None]
        if running:
            self._random.choice(running).kill()
