"""A fault campaign: many jobs on devices that are cut, frozen, filled, rebooted and killed.

Boards are real OpenSSH servers, the phone answers the real adb; all run on this machine, each with
a small disk of its own, which takes root. What must hold, and how that is found out, is in
``device_tests/campaign``: no finished sample is lost, no job is in the store twice, no device has
two holders, no process is left behind, and every command ends with a result or a reason.

    python benchmarks/faults.py [--jobs N] [--boards N] [--at-once N] [--every S] [--seed N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rows import show

sys.path.insert(0, str(Path(__file__).parent.parent))
from device_tests.campaign.whole import campaign


def main() -> int:
    """Print what came of it; exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--boards", type=int, default=2, help="beside one phone")
    parser.add_argument("--at-once", type=int, default=3, help="commands at the same time")
    parser.add_argument("--every", type=float, default=4.0, help="seconds between faults, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(
            Path(folder),
            jobs=asked.jobs,
            boards=asked.boards,
            at_once=asked.at_once,
            every_s=asked.every,
            seed=asked.seed,
        )
    row: dict[str, object] = {
        "jobs": found.jobs,
        "commands": found.commands,
        **{f"fault: {name}": count for name, count in found.faults.items()},
        **{f"ended with a {name}": count for name, count in found.ends.items()},
        "results finished on devices": found.results,
        "measured again": found.measured_again,
        "promises broken": len(found.wrong),
        "minutes": (time.monotonic() - begin) / 60,
    }
    rows = [{"what": name, "count": value} for name, value in row.items()]
    show([*rows, *({"broken": words} for words in found.wrong)], as_json=asked.json)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
