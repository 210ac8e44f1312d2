"""What a device costs beside the work itself: pushing a file, and what surrounds a job.

A file that the device has never seen, through our cache (checksum on the device included), and the
bare client's copy of the same file, in turns; beside them the checksum alone. Then jobs over a warm
link: how long each took beyond what its agent measured, and beyond the same agent started by hand
over the same link; how often the device was spoken to, and what was pushed again.

    python benchmarks/devices.py ARTIFACT [--on DEVICE | --stand-in board|phone|host]
                                 [--rounds N] [--megabytes N] [--json]

ARTIFACT is what the job measures. DEVICE is a name of groundspeed.toml or an address. Without one,
a device is started here (``stand_ins.py``): by default this machine behind an OpenSSH server, with
a real processor's checksums and no network in between, or an emulated board or phone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from rows import show
from stand_ins import KINDS, standing_in

from groundspeed.artifact import Artifact
from groundspeed.deploy.agents.choosing import choose_agent
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.catalog import named, open_link
from groundspeed.deploy.targets.jobs import Holder
from groundspeed.deploy.targets.link import DIGEST, Finished, Link, OnLine
from groundspeed.deploy.targets.remote import RemoteTarget
from groundspeed.documents import from_plain, to_plain
from groundspeed.measurement import Job, Launch, Options
from groundspeed.runtimes.feeds import random_feeds

Row = dict[str, object]
LONGEST_S = 600.0


class Counted:
    """A link that counts how often the device is spoken to."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.name, self.folder, self.trips = link.name, link.folder, 0

    def run(
        self,
        script: str,
        arguments: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        on_line: OnLine | None = None,
    ) -> Finished:
        """See ``Link.run``."""
        self.trips += 1
        return self._link.run(script, arguments, stdin=stdin, timeout_s=timeout_s, on_line=on_line)

    def push(self, source: Path, destination: str, *, timeout_s: float) -> str:
        """See ``Link.push``."""
        self.trips += 1
        return self._link.push(source, destination, timeout_s=timeout_s)

    def pull(self, source: str, destination: Path, *, timeout_s: float) -> None:
        """See ``Link.pull``."""
        self.trips += 1
        self._link.pull(source, destination, timeout_s=timeout_s)

    def close(self) -> None:
        """See ``Link.close``."""
        self._link.close()


def pushes(device: str, link: Link, rounds: int, megabytes: int) -> Iterator[Row]:
    """Yield how long a file takes both ways, its checksum alone, and the rates' ratio by round."""
    (address,) = named(device).addresses
    times: dict[str, list[float]] = {"ours": [], "bare": [], "checksum": []}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "file")
        copy = bare(address, file, link.folder)
        ways: dict[str, Callable[[], object]] = {
            "ours": lambda: Cache(link).ensure([file]),
            "bare": lambda: subprocess.run(copy, check=True, capture_output=True),
        }
        for number in range(rounds):
            file.write_bytes(os.urandom(megabytes * 1_000_000))
            for way in sorted(ways, reverse=number % 2 == 1):
                times[way].append(seconds(ways[way]))
            times["checksum"].append(seconds(lambda: checksum(link, f"{link.folder}/bare")))
            link.run('rm -f "$1"/bare "$1"/files/*/file', [link.folder])
    ratios = [bare_s / ours_s for bare_s, ours_s in zip(times["bare"], times["ours"], strict=True)]
    yield row(device, f"{megabytes} MB pushed by us, checksum included, s", times["ours"])
    yield row(device, f"{megabytes} MB copied by the bare client, s", times["bare"])
    yield row(device, f"checksum of {megabytes} MB alone, s", times["checksum"])
    yield row(device, "rate of our push over the bare client's", ratios)


def bare(address: Address, file: Path, folder: str) -> list[str]:
    """Return the command line by which a user would copy the file."""
    if address.scheme == "adb":
        return ["adb", "-s", address.host, "push", str(file), f"{folder}/bare"]
    port = ["-P", str(address.port)] if address.port else []
    user = f"{address.user}@" if address.user else ""
    return ["scp", "-q", *port, str(file), f"{user}{address.host}:{folder}/bare"]


def checksum(link: Link, path: str) -> None:
    """Let the device read a file for its checksum."""
    link.run(f'{DIGEST}\ndigest <"$1"', [path], timeout_s=LONGEST_S)


def surroundings(device: str, link: Link, artifact: Artifact, rounds: int) -> Iterator[Row]:
    """Yield what a job takes beyond its agent's own work, and what a later one pushes."""
    manifest = artifact.manifest
    job = Job(
        action="measure",
        runtime=manifest.runtime,
        files=dict(artifact.paths),
        options=Options(precision=manifest.precision),
        specs=manifest.inputs,
        min_samples=3,  # what an inference takes is subtracted, so few will do
        max_samples=3,
        min_seconds=0.0,
        max_warmup_seconds=0.1,
    )
    counted, state = Counted(link), read_state(link)
    agent = choose_agent(named(device), state, link)
    target = RemoteTarget(device, counted, agent, state=state, holder=Holder(name="benchmark"))
    target.run(job, tell)
    cache = Cache(link)
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch, "inputs.npz")
        np.savez(inputs, **random_feeds(job.specs, job.seed))  # type: ignore[arg-type]
        there = cache.ensure([*artifact.paths.values(), inputs])
    by_hand = dataclasses.replace(
        job,
        files={role: Path(there[path]) for role, path in artifact.paths.items()},
        inputs=Path(there[inputs]),
    )
    words = agent.command(job, link, cache, tell)
    document = json.dumps(to_plain(by_hand)).encode()
    pushed: list[str] = []
    beyond: dict[str, list[float]] = {"target": [], "by hand": []}
    counted.trips = 0
    for _ in range(rounds):
        heard: list[str] = []
        begin = time.perf_counter()
        launch = target.run(job, heard.append)
        beyond["target"].append(time.perf_counter() - begin - worked_s(launch))
        pushed += [words for words in heard if words.startswith("pushing")]
        begin = time.perf_counter()
        done = link.run('"$@"', words, stdin=document, timeout_s=LONGEST_S)
        took = time.perf_counter() - begin
        result = json.loads(done.text.splitlines()[-1])["result"]
        beyond["by hand"].append(took - worked_s(from_plain(Launch, result)))
    added = [ours - bare for ours, bare in zip(beyond["target"], beyond["by hand"], strict=True)]
    yield row(device, "a job beyond its agent's measuring, s", beyond["target"])
    yield row(device, "the same agent by hand, beyond its measuring, s", beyond["by hand"])
    yield row(device, "a job beyond the same agent by hand, s", added)
    yield {"device": device, "what": "times spoken to per job", "median": counted.trips / rounds}
    yield {"device": device, "what": "files pushed by later jobs", "median": len(pushed)}


def worked_s(launch: Launch) -> float:
    """Return how long the agent says that it opened, warmed up and measured, in seconds."""
    inferences = launch.first_run_ns + sum(launch.warmup_ns) + sum(launch.samples_ns)
    return (launch.load_ns + inferences) / 1e9


def seconds(do: Callable[[], object]) -> float:
    """Return how long something took."""
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def row(device: str, what: str, values: list[float]) -> Row:
    """Return the row of a figure that was taken several times."""
    least, most = min(values), max(values)
    median = statistics.median(values)
    return {"device": device, "what": what, "median": median, "least": least, "most": most}


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> int:
    """Print a row for each figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--on", metavar="DEVICE", default="")
    where.add_argument("--stand-in", choices=KINDS, default="host")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    artifact = Artifact.open(asked.artifact.absolute())

    def rows(device: str) -> Iterator[Row]:
        link = open_link(named(device))
        try:
            yield from pushes(device, link, asked.rounds, asked.megabytes)
            yield from surroundings(device, link, artifact, asked.rounds)
        finally:
            link.close()

    with nullcontext(asked.on) if asked.on else standing_in(asked.stand_in) as device:
        show(rows(device), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
