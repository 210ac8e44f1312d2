"""The agent under Valgrind's Callgrind, which counts the instructions that it executes.

What it counts hardly depends on what else the machine does. It is no time: caches, memory and
clocks are not in it, and Valgrind's processor has AVX2 at most, so that kernels for AVX-512 are
replaced by others.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from groundspeed.deploy.targets.local import COMMAND, LocalTarget
from groundspeed.errors import LaunchError, MissingExtra
from groundspeed.measurement import Job

TIMEOUT_S = 900.0


def counter() -> str:
    """Return what counts: "callgrind, valgrind-3.19.0".

    Raises:
        MissingExtra: Valgrind is not installed.
    """
    try:
        said = subprocess.run(["valgrind", "--version"], capture_output=True, text=True)
    except FileNotFoundError:
        raise MissingExtra(
            "instructions are counted by Valgrind, which is not installed: apt-get install valgrind"
        ) from None
    return f"callgrind, {said.stdout.strip()}"


def instructions(job: Job) -> int:
    """Return how many instructions the inferences of a "count" job execute, in a fresh process.

    Raises:
        LaunchError: it died, took longer than it may, or counted nothing.
        GroundspeedError: as ``counting.count``.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"]
        command = [*_steady(), *valgrind, f"--callgrind-out-file={out}", *COMMAND]
        LocalTarget(command=tuple(command), timeout_s=TIMEOUT_S).answer(job)
        text = out.read_text(errors="replace") if out.exists() else ""
    found = re.search(r"^totals: (\d+)$", text, re.MULTILINE)
    if found is None or not int(found[1]):
        raise LaunchError("Valgrind wrote no count; does 'valgrind --tool=callgrind true' work?")
    return int(found[1])


def _steady() -> list[str]:
    """Return what starts a process whose hashes and addresses are the same each time."""
    fixed = ["env", "PYTHONHASHSEED=0"]
    # A container may forbid that.
    same_places = ["setarch", "-R"]
    try:
        if subprocess.run([*same_places, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return [*same_places, *fixed]
    except OSError:
        pass
    return fixed
