"""Networks from outside the zoo through ``groundspeed explain``, all of it, in every runtime.

These are the networks that the onnx package ships, with random weights, and two as a user would
write them. A row for each network in each runtime: the coverage, how many patterns were found, how
many of these were measured by taking them out, and what was said instead where there is nothing to
show. A run that ends in a traceback, or a coverage below the goal, is a failure.

    python benchmarks/strangers.py [--only NAME] [--budget TIME] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from coverage import GOALS
from light_models import FOLDER, with_random_weights
from rows import Row, judge

from groundspeed.deploy.feedback.breakdown import break_down
from groundspeed.deploy.results import read
from groundspeed.deploy.store.store import Store

USERS = Path(__file__).with_name("users.py")
FUNCTIONS = ("segmenter", "detector")


def rows(names: list[str], budget: str) -> Iterator[Row]:
    """Yield the rows of the named networks, by default of all."""
    with tempfile.TemporaryDirectory() as folder:
        for name, spec in _specs(Path(folder)):
            if not names or name in names:
                yield from explained(name, spec, budget, Path(folder) / f"results of {name}")


def _specs(folder: Path) -> Iterator[tuple[str, str]]:
    for function in FUNCTIONS:
        yield function, f"{USERS}:{function}"
    for light in sorted(FOLDER.glob("light_*.onnx")):
        path = folder / f"{light.stem}.onnx"
        onnx.save(with_random_weights(onnx.load(light), seed=0), path)
        yield light.stem, str(path)
        path.unlink()


def explained(name: str, spec: str, budget: str, store: Path) -> Iterator[Row]:
    """Yield what a command explains of a network, a row for each runtime."""
    command = ["-m", "groundspeed", "explain", spec, "--budget", budget, "--store", str(store)]
    done = subprocess.run([sys.executable, *command, "--json"], capture_output=True, text=True)
    row: dict[str, Any] = {"network": name, "exit code": done.returncode}
    if "Traceback" in done.stderr or not done.stdout.startswith("{"):
        yield row | {"crash": done.stderr[-2000:]}
        return
    document = json.loads(done.stdout)
    with Store(store) as opened:
        cells = read(opened, document["run"]).cells
    for cell, said in zip(cells, document["cells"], strict=True):
        found = said["explained"]
        coverage = None
        if cell.artifact is not None and cell.profile is not None:
            assert cell.profile.profile is not None
            coverage = break_down(cell.artifact.manifest, cell.profile.profile).coverage
        yield row | {
            "runtime": cell.cell.runtime,
            "coverage": coverage,
            "found": len(found["findings"]),
            "measured": sum(one["counterfactual"] is not None for one in found["findings"]),
            "said": found["unexplained"],
        }


def is_good(row: Row) -> bool:
    """Return whether a row has the coverage, or a sentence that says why it has none."""
    if "crash" in row:
        return False
    coverage = row["coverage"]
    return bool(row["said"]) if coverage is None else float(str(coverage)) >= GOALS["fp32"]


def main() -> int:
    """Return 1 if a network was too strange."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--budget", default="45s")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    known = {*FUNCTIONS, *(light.stem for light in FOLDER.glob("light_*.onnx"))}
    if strange := sorted(set(asked.only) - known):
        parser.error(f"no network {', '.join(strange)}; there are {', '.join(sorted(known))}")
    return judge(rows(asked.only, asked.budget), is_good, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
