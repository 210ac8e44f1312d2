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
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from rows import Row, show
from scipy.stats import binomtest
from torch import nn

from groundspeed.artifact import Artifact
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.gate.comparing import Comparison, Contest, compare
from groundspeed.deploy.gate.decision import Rules, Verdict
from groundspeed.deploy.sources import Network
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget

LAYERS = 33  # one more is 3 %


def network(layers: int) -> Network:
    """Return a network of about two milliseconds, of equal layers."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 32, 1), *(nn.Conv2d(32, 32, 1) for _ in range(layers)))
    name, inputs = f"{layers} layers", (torch.randn(1, 3, 56, 56),)
    return Network(name=name, spec=name, module=module.eval(), inputs=inputs)


def exported(layers: int, folder: Path) -> Artifact:
    """Return the network's ONNX file."""
    return Exporter(network(layers), folder).export("onnx", "fp32")


def keep_busy() -> None:
    """Compute for up to five seconds, rest for as long, for ever."""
    while True:
        until = time.monotonic() + random.uniform(0, 5)
        while time.monotonic() < until:
            np.linalg.norm(np.random.default_rng(0).standard_normal((300, 300)))
        time.sleep(random.uniform(0, 5))


@contextmanager
def load(wanted: bool) -> Iterator[None]:
    """Keep the machine busy meanwhile, if that is wanted."""
    process = multiprocessing.Process(target=keep_busy, daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.kill()


def trials(asked: argparse.Namespace, folder: Path) -> Iterator[Comparison]:
    """Yield what each trial comes to."""
    old = exported(LAYERS, folder)
    new = exported(LAYERS + asked.layers, folder) if asked.layers else old
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
