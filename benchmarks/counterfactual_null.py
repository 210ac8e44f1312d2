"""How often a counterfactual that changes nothing shows an interval that contains 0.

A small network is written a second time, unchanged, and explained as if a pattern had been taken
out of it, again and again. At 95 % confidence, 95 of 100 intervals contain 0, give or take two.
Printed beside that: how wide the intervals are; the scatter of launches, and that of differences
within rounds; and whether differences are as Student's t wants them, by their skewness and their
excess kurtosis (0 is normal; heavier tails make intervals wider, not wrong).

    python benchmarks/counterfactual_null.py [--format FORMAT] [--repetitions N] [--rounds N]
        [--seconds S] [--threads N] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rows import show
from scenes import scene_of
from scipy.stats import kurtosis, skew
from torch import nn

from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.counterfactual import LAUNCHES, Proof, prove
from groundspeed.deploy.feedback.detect import Detected, attributed
from groundspeed.deploy.feedback.differences import by_rounds
from groundspeed.deploy.feedback.edits import bypassed
from groundspeed.deploy.feedback.finding import Finding, Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.sources import Network
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget


def small() -> Network:
    """Return a network of about a millisecond."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    module = nn.Sequential(*layers).eval()
    return Network(name="small", spec="small", module=module, inputs=(torch.randn(1, 3, 48, 48),))


def nothing(scene: Scene) -> Detected:
    """Return a pattern whose change changes nothing."""
    here = Sighting(place=Place(module="", line="", ops=(), what=""), charges={})
    pattern = Pattern(
        name="nothing",
        guideline="",
        reason="",
        source="",
        example="",
        find=lambda scene: (here,),
        change=lambda scene, sightings: Change(what="the same", after=bypassed(scene, ())),
        advice=lambda scene, sightings: "",
    )
    finding = Finding(
        pattern=pattern.name,
        guideline="",
        places=(here.place,),
        attributed=attributed(scene, (here,)),
        advice="",
    )
    return Detected(pattern=pattern, sightings=(here,), finding=finding)


@dataclass(frozen=True)
class Repetition:
    """What one repetition shows, as shares of the latency.

    Attributes:
        low, high: the interval.
        scatter: standard deviation of the original's launches.
        differences: of each round.
    """

    low: float
    high: float
    scatter: float
    differences: tuple[float, ...]

    @property
    def contains_0(self) -> bool:
        """Whether the interval says that nothing was changed."""
        return self.low <= 0 <= self.high


def repetitions(asked: argparse.Namespace, folder: Path) -> Iterator[Repetition]:
    """Yield what each repetition shows."""
    exporter = Exporter(small(), folder)
    original = exporter.export(asked.format, "fp32")
    scene = scene_of(exporter, original, asked.threads)
    with Store(folder / "store") as store:
        for number in range(asked.repetitions):
            proof = prove(
                scene,
                [nothing(scene)],
                exporter=exporter,
                original=original,
                store=store,
                target=LocalTarget(),
                budget_s=3600.0,
                settings=replace(
                    LAUNCHES, max_rounds=asked.rounds, min_seconds=asked.seconds, seed=number
                ),
                fresh=True,
            )
            yield repetition(proof)


def repetition(proof: Proof) -> Repetition:
    """Return what one proof shows."""
    shown, run = proof.findings[0].counterfactual, proof.run
    assert shown is not None, proof.findings[0].untried
    assert run is not None
    latency, time = run.cells[0].latency, shown.measured.time
    assert latency is not None
    total_ns = latency.estimate_ns
    return Repetition(
        low=time.low_ns / total_ns,
        high=time.high_ns / total_ns,
        scatter=float(np.std(latency.medians_ns, ddof=1)) / total_ns,
        differences=tuple(each / total_ns for each in by_rounds(*run.cells)),
    )


def rows(asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield a row for each repetition, and one for all of them."""
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        for one in repetitions(asked, Path(folder)):
            seen.append(one)
            yield {
                "repetition": len(seen),
                "low": one.low,
                "high": one.high,
                "contains 0": one.contains_0,
                "so far": sum(each.contains_0 for each in seen),
            }
    differences = np.concatenate([each.differences for each in seen])
    yield {
        "intervals that contain 0": f"{sum(each.contains_0 for each in seen)} of {len(seen)}",
        "half-width": float(np.median([(each.high - each.low) / 2 for each in seen])),
        "scatter of launches": float(np.median([each.scatter for each in seen])),
        "scatter of differences": float(np.median([np.std(each.differences) for each in seen])),
        "skewness": float(skew(differences)),
        "excess kurtosis": float(kurtosis(differences)),
    }


def main() -> int:
    """Print a row for each repetition as soon as it exists."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--format", default="onnx")
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each launch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    show(rows(asked), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
