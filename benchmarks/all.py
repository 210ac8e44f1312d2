"""Runs every benchmark in turn and prints what each prints; takes about half an hour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ORDER = ("weight", "fidelity", "closure", "plain_route", "light_models")


def main() -> int:
    """Return 1 when a benchmark could not run to its end."""
    failed = []
    for name in ORDER:
        print(f"\n== {name}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        if subprocess.run([sys.executable, str(script), *sys.argv[1:]]).returncode:
            failed.append(name)
    if failed:
        print(f"did not finish: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
