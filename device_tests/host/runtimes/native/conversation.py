"""Talking to an agent as a process, and jobs to give it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from groundspeed.artifact import Artifact
from groundspeed.documents import to_plain
from groundspeed.measurement import Job
from groundspeed.runtimes.feeds import random_feeds


@dataclass(frozen=True)
class Answer:
    """What an agent said, and how it ended."""

    code: int
    last: dict[str, Any]
    progress: list[str]

    @property
    def error(self) -> str:
        return str(self.last["error"]["class"])

    @property
    def message(self) -> str:
        return str(self.last["error"]["message"])


def ask(command: list[str], text: str | bytes, *arguments: str) -> Answer:
    """Give an agent a text on its standard input, and return what it answers."""
    given = text if isinstance(text, bytes) else text.encode()
    done = subprocess.run([*command, *arguments], input=given, capture_output=True, timeout=120)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said, f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}"
    assert all(list(line) == ["progress"] for line in said[:-1])
    return Answer(done.returncode, said[-1], [line["progress"] for line in said[:-1]])


def document(job: Job) -> str:
    return json.dumps(to_plain(job))


def short_job(**asked: Any) -> Job:
    """Return a job of a few inferences."""
    few = {"min_samples": 3, "max_samples": 5, "max_warmup_seconds": 0.1, "profile_runs": 4}
    return Job(**{"action": "measure", **few, **asked})


def job_for(artifact: Artifact, folder: Path, **changes: Any) -> Job:
    """Return a short job on seeded inputs, which are written into a folder."""
    manifest = artifact.manifest
    np.savez(folder / "inputs.npz", **random_feeds(manifest.inputs, seed=1))
    asked = {
        "runtime": manifest.runtime,
        "files": artifact.paths,
        "specs": manifest.inputs,
        "inputs": folder / "inputs.npz",
    }
    return short_job(**{**asked, **changes})
