"""Small networks with one bad pattern each, in each runtime where it is a fault, and clean twins.

A row for each network in each runtime, of real launches: whether the pattern was found in all the
modules where it stands, the share of the time that is attributed to it there, whether it was also
seen elsewhere; and for the twin, the largest share that any finding has. A finding of more than 3 %
on a twin is a false alarm. Last comes a row for each runtime.

    python benchmarks/planted_faults.py [--only NAME] [--runtime RUNTIME] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rows import Row, judge

sys.path.insert(0, str(Path(__file__).parents[1]))
from device_tests.host.deploy.feedback.planted.first_half import FIRST_HALF
from device_tests.host.deploy.feedback.planted.planting import ALL, Planted
from device_tests.host.deploy.feedback.planted.scenes import Scenes
from device_tests.host.deploy.feedback.planted.table import PLANTED
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.plan import Settings
from groundspeed.errors import GroundspeedError

LIMIT = 0.03  # of the end-to-end time
SETTINGS = Settings(min_seconds=0.2, max_warmup_seconds=1.0, profile_runs=100)


def rows(planted: Sequence[Planted], runtimes: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each network in each runtime, then one for each runtime."""
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        scenes = Scenes(Path(folder), SETTINGS)
        for one in planted:
            for runtime in [each for each in one.runtimes if each in runtimes]:
                seen.append(row(scenes, one, runtime))
                yield seen[-1]
    for runtime in runtimes:
        yield summary(runtime, [each for each in seen if each["runtime"] == runtime])


def row(scenes: Scenes, planted: Planted, runtime: str) -> Row:
    """Return what was found in a network and in its twin, or why nobody could look."""
    named = {"network": planted.name, "runtime": runtime}
    try:
        fault = [each.finding for each in detect(scenes.fault(planted, runtime))]
        twin = [each.finding for each in detect(scenes.twin(planted, runtime))]
    except GroundspeedError as error:
        return named | {"found": False, "false_alarms": [], "reason": str(error)}
    return named | dict(judged(planted, fault, twin))


def judged(planted: Planted, fault: Sequence[Finding], twin: Sequence[Finding]) -> Row:
    """Return how the findings on a network and on its twin compare with what was planted."""
    half = "first" if planted in FIRST_HALF else "second"
    named = [each for each in fault if each.pattern == planted.pattern]
    places = [place.module for each in named for place in each.places]
    largest = max(twin, key=lambda each: each.attributed.share, default=None)
    return {
        "half": half,
        "pattern": planted.pattern,
        "found": not planted.missed(places),
        "missed": planted.missed(places),
        "share": sum(each.attributed.share for each in named),
        "elsewhere": sorted({each for each in places if not planted.holds(each)}),
        "rank": [each.pattern for each in fault].index(planted.pattern) + 1 if named else None,
        "twin_largest": largest.attributed.share if largest else 0.0,
        "false_alarms": [
            (each.pattern, round(each.attributed.share, 4), sorted({p.module for p in each.places}))
            for each in twin
            if each.attributed.share > LIMIT
        ],
        "pattern_on_twin": sum(
            each.attributed.share for each in twin if each.pattern == planted.pattern
        ),
    }


def summary(runtime: str, seen: Sequence[Row]) -> Row:
    """Return the counts of a runtime."""
    return {
        "runtime": runtime,
        "networks": len(seen),
        "found": sum(bool(row["found"]) for row in seen),
        "missed": [row["network"] for row in seen if not row["found"]],
        "twins_with_false_alarms": [row["network"] for row in seen if row["false_alarms"]],
    }


def is_good(row: Row) -> bool:
    """Return whether a row is a fault that was found beside a twin that is not blamed, or a sum."""
    return "network" not in row or bool(row["found"] and not row["false_alarms"])


def main() -> int:
    """Return 1 if a fault was missed, or a twin blamed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--runtime", action="append", default=[], choices=ALL)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [each for each in PLANTED if not asked.only or each.name in asked.only]
    return judge(rows(chosen, asked.runtime or ALL), is_good, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
