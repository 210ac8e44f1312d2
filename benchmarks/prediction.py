"""How far predictions are off for networks, and for whole families, that the model has not seen.

    python benchmarks/prediction.py STORE [--on DEVICE] [--json]

STORE is a folder of results in which 'groundspeed characterize' has left its profiles. For each
runtime and number of threads: the share of left-out networks within ±10 %, and the median error,
with microbenchmarks of all ops, and without those of ops that only the left-out network or family
has; beside it the floor, that all networks take as long for each MAC as one anchor, the one of them
that does best as such; and the ceiling, how far every second launch of a network is from the
launches between ("measured again"): nobody predicts a figure better than it can be measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rows import show

from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.gather import Setting, gather
from groundspeed.deploy.feedback.costs.prediction import leave_out
from groundspeed.deploy.store.store import Store
from groundspeed.models import zoo

Known = Mapping[Setting, Sequence[Example]]


def measure(folder: Path, device: str) -> Iterator[dict[str, object]]:
    """Yield a row for each setting and way of leaving out."""
    with Store(folder) as store:
        known = gather(store, device)
        again = reproduced(*(gather(store, device, slice(start, None, 2)) for start in (0, 1)))
    for setting, examples in known.items():
        for left_out, group in GROUPS.items():
            for with_ops in (False, True):
                errors = [one.error for one in leave_out(examples, group, with_ops=with_ops)]
                name = f"{left_out} and its ops" if with_ops else left_out
                yield {"setting": str(setting), "left out": name, **figures(errors)}
        networks = [one for one in examples if not one.is_patchwork]
        yield {"setting": str(setting), "left out": "all but an anchor", **figures(floor(networks))}
        if again.get(setting):
            yield {"setting": str(setting), "left out": "measured again", **figures(again[setting])}


def reproduced(first: Known, second: Known) -> dict[Setting, list[float]]:
    """Return how far the same networks are apart when they are measured twice."""
    found = {}
    for setting, examples in second.items():
        before = {one.identity: one.total_ns for one in first[setting]}
        found[setting] = [
            one.total_ns / before[one.identity] - 1.0 for one in examples if not one.is_patchwork
        ]
    return found


def family(network: str) -> str:
    """Return a network's family; one from elsewhere is its own."""
    return zoo.family_of(network) if network in zoo.names() else network


GROUPS: dict[str, Callable[[Example], Hashable]] = {
    "network": lambda one: one.identity,
    "family": lambda one: family(one.network),
}


def figures(errors: Sequence[float]) -> dict[str, object]:
    sizes = np.abs(errors)
    return {
        "networks": len(sizes),
        "within 10 %": float(np.mean(sizes <= 0.1)),
        "median error": float(np.median(sizes)),
        "worst": float(np.max(sizes)),
    }


def floor(examples: Sequence[Example]) -> list[float]:
    """Return the errors of the best single anchor."""
    pace = np.array([one.total_ns / one.identity[1] for one in examples])
    errors = [np.delete(anchor / pace - 1.0, place) for place, anchor in enumerate(pace)]
    return list(max(errors, key=lambda each: float(np.mean(np.abs(each) <= 0.1))))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0] if __doc__ else "")
    parser.add_argument("store", type=Path)
    parser.add_argument("--on", default="local", metavar="DEVICE")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    show(measure(asked.store, asked.on), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
