"""Made-up series with known answers: what the history's detector finds, and a naive rule beside it.

A row for each kind of series and each scatter (standard deviation of single values): the share of
series in which the step is found within five values of its place, the median distance there, and
the number of changes per series that there are not. The naive rule calls every value a change that
lies more than 5 % from the one before. Of a series that drifts, 'found' is that it is called so.

    python benchmarks/change_points.py [--repetitions N] [--length N] [--json]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from rows import Row, show

from groundspeed.deploy.trends.change_points import trend

SCATTERS = (0.005, 0.02, 0.05)
NEAR = 5

Floats = NDArray[np.float64]
Make = Callable[[int, np.random.Generator], tuple[Floats, int | None]]


def level(length: int, random: np.random.Generator) -> tuple[Floats, int | None]:
    """Return a level that stays."""
    return np.zeros(length), None


def step(by: float) -> Make:
    """Return a maker of series that step up by a share, somewhere in the middle half."""

    def make(length: int, random: np.random.Generator) -> tuple[Floats, int | None]:
        place = int(random.integers(length // 4, 3 * length // 4))
        return np.where(np.arange(length) < place, 0.0, np.log1p(by)), place

    return make


def drift(by: float) -> Make:
    """Return a maker of series that rise by a share from the first value to the last."""
    return lambda length, random: (np.linspace(0, np.log1p(by), length), None)


def outliers(length: int, random: np.random.Generator) -> tuple[Floats, int | None]:
    """Return a level at which one value in twenty is 1.5 times as large."""
    return np.where(random.random(length) < 0.05, np.log(1.5), 0.0), None


KINDS: dict[str, Make] = {
    "nothing": level,
    "outliers": outliers,
    **{f"step of {by:.0%}": step(by) for by in (0.01, 0.03, 0.05, 0.10)},
    **{f"drift of {by:.0%}": drift(by) for by in (0.05, 0.20)},
}


def naive(values: Floats) -> list[int]:
    """Return where a value lies more than 5 % from the one before."""
    return [int(at) + 1 for at in np.flatnonzero(np.abs(np.diff(values) / values[:-1]) > 0.05)]


def rows(repetitions: int, length: int) -> Iterator[Row]:
    """Yield a row for each kind and scatter."""
    random = np.random.default_rng(0)
    for kind, make in KINDS.items():
        for scatter in SCATTERS:
            ours, theirs = Tally(), Tally()
            drifts = 0
            for _ in range(repetitions):
                logs, place = make(length, random)
                values = np.exp(logs + scatter * random.standard_normal(length))
                seen = trend(values.tolist())
                ours.add([one.index for one in seen.steps], place)
                theirs.add(naive(values), place)
                drifts += seen.drift is not None
            found = drifts if kind.startswith("drift") else ours.hits
            yield {
                "series": f"{kind}, scatter {scatter:.1%}",
                "found": found / repetitions,
                "distance": float(np.median(ours.distances)) if ours.distances else None,
                "false, per series": ours.false / repetitions,
                "called drift": drifts / repetitions,
                "naive: found": theirs.hits / repetitions,
                "naive: false, per series": theirs.false / repetitions,
            }


class Tally:
    """What a rule found over many series."""

    def __init__(self) -> None:
        self.hits = 0
        self.false = 0
        self.distances: list[int] = []

    def add(self, found: list[int], place: int | None) -> None:
        """Count what was found in one series that steps at a place, or nowhere."""
        distances = sorted(abs(at - place) for at in found) if place is not None else []
        hit = bool(distances) and distances[0] <= NEAR
        self.hits += hit
        self.false += len(found) - hit
        self.distances += distances[:1] if hit else []


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    show(rows(asked.repetitions, asked.length), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
