"""Runs every benchmark in turn and prints what each prints; takes about half an hour.

Those that measure artifacts get one network's, exported here.

    python benchmarks/all.py [--network NETWORK] [--json]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

# Benchmark -> whether it is given artifacts.
ORDER = {
    "weight": False,
    "fidelity": True,
    "closure": True,
    "plain_route": False,
    "light_models": False,
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
        for name, is_given in ORDER.items():
            print(f"\n== {name}", flush=True)
            command = [sys.executable, str(Path(__file__).with_name(f"{name}.py"))]
            command += [*(artifacts if is_given else []), *(["--json"] if asked.json else [])]
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
