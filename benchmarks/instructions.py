"""How far counts of one file's instructions are apart, whatever else the machine does.

For each artifact: instructions of an inference as Callgrind counts them in several processes, and
the largest of these over the smallest, minus 1. Other work may go on meanwhile; that is the point.

    python benchmarks/instructions.py ARTIFACT... [--processes N] [--json]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rows import show

from groundspeed.artifact import Artifact
from groundspeed.deploy.gate.instructions import INFERENCES
from groundspeed.deploy.targets import callgrind
from groundspeed.measurement import Job, Options


def rows(folders: Sequence[Path], processes: int) -> Iterator[dict[str, object]]:
    """Yield a row for each artifact."""
    for folder in folders:
        artifact = Artifact.open(folder)
        manifest = artifact.manifest
        job = Job(
            action="count",
            runtime=manifest.runtime,
            files=artifact.paths,
            options=Options(precision=manifest.precision),
            specs=manifest.inputs,
            max_samples=INFERENCES,
        )
        counts = [callgrind.instructions(job) / INFERENCES for _ in range(processes)]
        yield {
            "network": manifest.source.name,
            "runtime": manifest.runtime,
            "instructions": min(counts),
            "processes": processes,
            "apart by": max(counts) / min(counts) - 1,
        }


def main() -> int:
    """Print a row for each artifact as soon as it exists."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    show(rows(asked.artifacts, asked.processes), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
