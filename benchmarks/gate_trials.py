"""How often the gate is wrong, and what it finds, in checks with real launches on this machine.

Each trial compares a small network of equal layers with itself (--layers 0), or with one that has
more of them, through the same code as 'groundspeed check'. A third to all of a core may be kept
busy by something else, which starts and stops by chance (--load). The rows are verdicts; the last
one has how many of each there were, with the exact interval of the share of fails (C. J. Clopper
and E. S. Pearson, Biometrika 26, 1934).

    python benchmarks/gate_trials.py [--trials N] [--layers N] [--pairs N] [--strict] [--load]
        [--json]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from layers import LAYERS, exported, load
from rows import Row, show
from scipy.stats import binomtest

from groundspeed.deploy.gate.comparing import Comparison, Contest, compare
from groundspeed.deploy.gate.decision import Rules, Verdict
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget


def trials(asked: argparse.Namespace, folder: Path) -> Iterator[Comparison]:
    """Yield what each trial comes to."""
    old = exported(LAYERS, folder / "old")
    new = exported(LAYERS + asked.layers, folder / "new") if asked.layers else old
    contest = Contest(baseline=old, candidate=new)
    with Store(folder / "store") as store:
        for number in range(asked.trials):
            yield compare(
                contest,
                store=store,
                target=LocalTarget(),
                rules=Rules(pairs=asked.pairs, strict=asked.strict),
                seed=number,
                even_if_same=True,
                fresh=True,
            )


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each trial, and one for all of them."""
    seen = []
    with tempfile.TemporaryDirectory() as folder, load(asked.load):
        for one in trials(asked, Path(folder)):
            seen.append(one)
            evidence = one.evidence
            assert evidence is not None, one.problem
            yield {
                "trial": len(seen),
                "verdict": one.verdict.value,
                "faster": one.is_faster,
                "ratio": math.exp(evidence.estimate),
                "scatter of pairs": evidence.deviation,
                "pairs": evidence.pairs,
                "pair_s": one.pair_s,
            }
    yield summary(seen)


def summary(seen: list[Comparison]) -> Row:
    """Return how often each verdict came, and what lies behind."""
    counts = Counter(one.verdict for one in seen)
    fails = binomtest(counts[Verdict.FAIL], len(seen)).proportion_ci(method="exact")
    evidence = [one.evidence for one in seen if one.evidence is not None]
    return {
        "trials": len(seen),
        **{verdict.value: counts[verdict] for verdict in Verdict},
        "improvements": sum(one.is_faster for one in seen),
        "fails, 95 % interval": f"{fails.low:.4f} to {fails.high:.4f}",
        "median ratio": float(np.median([math.exp(one.estimate) for one in evidence])),
        "median scatter of pairs": float(np.median([one.deviation for one in evidence])),
        "mean pairs": float(np.mean([one.pairs for one in evidence])),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--layers", type=int, default=0, help="more layers than the baseline has")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    show(rows(asked), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
