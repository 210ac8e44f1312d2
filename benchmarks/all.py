"""Runs every benchmark in turn and prints what each prints.

That takes more than an hour, and the first time, when native agents are built, more.
Those that measure artifacts get one network's, exported here.

    python benchmarks/all.py [--network NETWORK] [--json]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

# Benchmark -> how many of the artifacts it is given (None: all), and settings for a shorter run.
ORDER: dict[str, tuple[int | None, tuple[str, ...]]] = {
    "weight": (0, ()),
    "fidelity": (None, ()),
    "closure": (None, ()),
    "plain_route": (0, ()),
    "light_models": (0, ()),
    "coverage": (0, ("squeezenet1_1", "shufflenet_v2_x0_5")),
    "strangers": (0, ("--only", "segmenter", "--only", "light_squeezenet")),
    "planted_faults": (0, ()),
    "attribution_truth": (0, ("squeezenet1_1", "shufflenet_v2_x1_0", "--budget", "60")),
    "counterfactual_null": (0, ("--repetitions", "10")),
    "gate_trials": (0, ("--trials", "5", "--pairs", "10")),
    "gate_rules": (0, ("--trials", "4", "--window", "10")),
    "gate_disturbances": (0, ("--only", "kill", "--pairs", "10")),
    "instructions": (None, ("--processes", "2")),
    "change_points": (0, ("--repetitions", "5")),
    "native_agent": (None, ("--pairs", "4", "--runs", "200")),
    "devices": (1, ("--rounds", "3")),
}


def main() -> int:
    """Return 1 when a benchmark could not run to its end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", default="shufflenet_v2_x1_0")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        artifacts = exported(asked.network, Path(folder))
        for name, (count, settings) in ORDER.items():
            print(f"\n== {name}", flush=True)
            command = [sys.executable, str(Path(__file__).with_name(f"{name}.py"))]
            command += [*artifacts[:count], *settings, *(["--json"] if asked.json else [])]
            if subprocess.run(command).returncode:
                failed.append(name)
    if failed:
        print(f"did not finish: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def exported(network: str, folder: Path) -> list[str]:
    """Return the folders of a network's artifacts."""
    command = [sys.executable, "-m", "groundspeed", "export", network, "--output", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [str(manifest.parent) for manifest in sorted(folder.glob("*/manifest.json"))]


if __name__ == "__main__":
    sys.exit(main())
