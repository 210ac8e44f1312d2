"""How heavy Groundspeed itself is: import, help, and the whole main job.

Start-up times are medians of fresh processes, beside the bare interpreter's in the same run. The
main job is timed once, from export to report, with its peak memory over all its processes.

    python benchmarks/weight.py [--json] [--skip-run]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

COMMANDS = {
    "bare interpreter": ["-c", "pass"],
    "import groundspeed": ["-c", "import groundspeed"],
    "groundspeed --help": ["-m", "groundspeed", "--help"],
}
LIMITS_S = {"import groundspeed": 0.2, "groundspeed --help": 0.4, "run": 180.0}


def start_up(repeats: int) -> dict[str, float]:
    """Return the median wall time of each command in seconds, the commands taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, arguments in COMMANDS.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def main_job(network: str) -> tuple[float, int]:
    """Return wall seconds and the peak of the summed memory (bytes) of the main job's processes."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "groundspeed", "run", network, "--store", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.2):
                peak = max(peak, tree_memory(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        done.set()
        watcher.join()
        if code != 0:
            raise SystemExit(f"groundspeed run {network} ended with exit code {code}")
        return time.perf_counter() - begin, peak


def tree_memory(pid: int) -> int:
    """Return the proportional resident memory of a process and its descendants, in bytes."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += tree_memory(int(child))
    except OSError:
        # The process ended while it was being looked at: it holds nothing any more.
        return total
    return total


def main() -> None:
    """Print the figures beside their limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--skip-run", action="store_true")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    seconds = start_up(arguments.repeats)
    figures: dict[str, object] = {"start_up_s": seconds, "limits_s": LIMITS_S}
    if not arguments.skip_run:
        wall, peak = main_job("shufflenet_v2_x1_0")
        figures |= {"run_s": wall, "run_peak_memory_bytes": peak}
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    bare = seconds["bare interpreter"]
    for name, value in seconds.items():
        limit = f"  (limit {LIMITS_S[name]} s)" if name in LIMITS_S else ""
        print(f"{name:22} {value * 1e3:7.1f} ms  {value / bare:5.2f} x bare{limit}")
    if not arguments.skip_run:
        print(
            f"run shufflenet_v2_x1_0 {wall:7.1f} s  (limit 180 s), peak {peak / 1e9:.2f} GB (3 GB)"
        )


if __name__ == "__main__":
    main()
