"""What a device costs beside the work itself: pushing a file, and what surrounds a job.

A file of 50 MB that the device has never seen, through our cache (checksum on the device included),
beside the bare client's copy of the same file, in turns; and the time of a job over a warm link
less the time that its agent ran, as the agent's own clock on the device says it.

    python benchmarks/devices.py ARTIFACT [--on DEVICE] [--rounds N] [--megabytes N] [--json]

ARTIFACT is what the job measures. DEVICE is a name of groundspeed.toml or an address; without one,
it is this machine behind an OpenSSH server of its own, with a real processor's checksums and no
network in between: the hardest case for whoever adds work to a copy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rows import show

from groundspeed.artifact import Artifact
from groundspeed.deploy.devices.using import using
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.catalog import named, open_link
from groundspeed.deploy.targets.jobs import Holder, Jobs, new_id
from groundspeed.measurement import Job, Launch, Options

sys.path.insert(0, str(Path(__file__).parent.parent))
from device_tests.host.deploy.sshd import Sshd


def pushes(device: str, rounds: int, megabytes: int) -> Iterator[dict[str, object]]:
    """Yield the rate of our push over that of the bare client, as a ratio of each round."""
    (address,) = named(device).addresses
    link = open_link(named(device))
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(rounds):
            file = Path(scratch, "file")
            file.write_bytes(os.urandom(megabytes * 1_000_000))
            begin = time.perf_counter()
            subprocess.run(bare(address, file, link.folder), check=True, capture_output=True)
            bare_s = time.perf_counter() - begin
            begin = time.perf_counter()
            Cache(link).ensure([file])
            ratios.append(bare_s / (time.perf_counter() - begin))
        link.run('rm -rf "$1"/bare "$1"/files', [link.folder])
    link.close()
    yield {
        "device": device,
        "what": f"rate of our push over the bare client's, {megabytes} MB",
        "median": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
    }


def bare(address: Address, file: Path, folder: str) -> list[str]:
    """Return the command line by which a user would copy the file."""
    if address.scheme == "adb":
        return ["adb", "-s", address.host, "push", str(file), f"{folder}/bare"]
    port = ["-P", str(address.port)] if address.port else []
    user = f"{address.user}@" if address.user else ""
    return ["scp", "-q", *port, str(file), f"{user}{address.host}:{folder}/bare"]


def surroundings(device: str, artifact: Artifact, rounds: int) -> Iterator[dict[str, object]]:
    """Yield what a job takes beyond its agent's own work, and what a second one pushes."""
    manifest = artifact.manifest
    job = Job(
        action="measure",
        runtime=manifest.runtime,
        files=dict(artifact.paths),
        options=Options(precision=manifest.precision),
        specs=manifest.inputs,
        min_seconds=0.0,
    )
    pushed: list[str] = []
    beyond = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder)) as store,
        using(device, store) as target,
    ):
        target.run(job)
        for _ in range(rounds):
            heard: list[str] = []
            begin = time.perf_counter()
            launch = target.run(job, heard.append)
            took = time.perf_counter() - begin
            pushed += [words for words in heard if words.startswith("pushing")]
            beyond.append(took - worked_s(launch))
    yield {
        "device": device,
        "what": "a job beyond its agent's measuring, s (starting the agent included)",
        "median": statistics.median(beyond),
        "least": min(beyond),
        "most": max(beyond),
    }
    yield {"device": device, "what": "files pushed by later jobs", "median": len(pushed)}


def nothing(device: str, rounds: int) -> Iterator[dict[str, object]]:
    """Yield what a job takes whose agent ends at once: all that we add to an agent's own work."""
    link = open_link(named(device))
    jobs = Jobs(link, Holder(name="benchmark"))
    took = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        id = new_id()
        jobs.run(
            id,
            ["true"],
            "{}",
            timeout_s=60,
            on_line=lambda line: None,
            on_progress=lambda sentence: None,
        )
        jobs.cancel(id)
        took.append(time.perf_counter() - begin)
    link.close()
    warm = took[1:]
    yield {
        "device": device,
        "what": "a job whose agent does nothing, over a warm link, s",
        "median": statistics.median(warm),
        "least": min(warm),
        "most": max(warm),
    }


def worked_s(launch: Launch) -> float:
    """Return how long the agent says that it opened, warmed up and measured, in seconds."""
    inferences = launch.first_run_ns + sum(launch.warmup_ns) + sum(launch.samples_ns)
    return (launch.load_ns + inferences) / 1e9


def main() -> int:
    """Print a row for each figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--on", metavar="DEVICE", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()

    artifact = Artifact.open(asked.artifact.absolute())

    def rows(device: str) -> Iterator[dict[str, object]]:
        yield from pushes(device, asked.rounds, asked.megabytes)
        yield from nothing(device, asked.rounds)
        yield from surroundings(device, artifact, asked.rounds)

    with nullcontext(asked.on) if asked.on else here_over_ssh() as device:
        show(rows(device), as_json=asked.json)
    return 0


@contextmanager
def here_over_ssh() -> Iterator[str]:
    """Yield the name of this machine behind an sshd; meanwhile "ssh" and "scp" know it."""
    with tempfile.TemporaryDirectory() as folder, Sshd(Path(folder)) as server:
        programs = Path(folder, "bin")
        programs.mkdir()
        for name in ("ssh", "scp"):
            program = programs / name
            real = shutil.which(name)
            program.write_text(f'#!/bin/sh\nexec {real} -F {server.folder}/config "$@"\n')
            program.chmod(0o755)
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        Path(folder, "groundspeed.toml").write_text(
            f'[devices.board]\naddress = "ssh://board"\npython = "{sys.executable}"\n'
        )
        os.chdir(folder)
        yield "board"


if __name__ == "__main__":
    sys.exit(main())
