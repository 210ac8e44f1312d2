"""Bad patterns in known places are found there, in what a runtime really executed.

Here each network runs in one of the runtimes in which it is at fault, in ncnn if it is, for which
files are written fastest; ``benchmarks/planted_faults.py`` runs all of them in each, and tells
shares of time.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from device_tests.host.deploy.feedback.planted.planting import PLACE, Planted, framed
from device_tests.host.deploy.feedback.planted.scenes import Scenes
from device_tests.host.deploy.feedback.planted.table import PLANTED
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.patterns.catalog import PATTERNS
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.plan import Settings

# Nothing here rests on a time.
BRIEF = Settings(
    min_samples=3, max_samples=3, min_seconds=0.0, max_warmup_seconds=0.05, profile_runs=3
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return Scenes(tmp_path_factory.mktemp("planted"), BRIEF)


def modules(scene: Scene, pattern: str) -> tuple[str, ...]:
    """Return where a scene has a pattern."""
    found = detect(scene, [pattern])
    return tuple(place.module for each in found for place in each.finding.places)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda each: each.name)
def test_a_fault_is_found_where_it_stands_and_not_in_its_twin(
    planted: Planted, scenes: Scenes
) -> None:
    runtime = planted.runtimes[-1]
    found = modules(scenes.fault(planted, runtime), planted.pattern)
    assert not planted.missed(found)
    # The ways into a network and out of it may have the pattern, in both.
    blamed = modules(scenes.twin(planted, runtime), planted.pattern)
    assert not [each for each in blamed if planted.holds(each) or PLACE in each.split(".")]


def test_every_pattern_is_planted() -> None:
    assert {each.pattern for each in PLANTED} == set(PATTERNS)


def test_names_are_unique() -> None:
    assert len({each.name for each in PLANTED}) == len(PLANTED)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda each: each.name)
def test_a_twin_does_the_same_work(planted: Planted) -> None:
    shapes, flops = [], []
    for part in (planted.fault, planted.twin):
        with torch.no_grad(), FlopCounterMode(display=False) as counted:
            shapes.append(framed(part)(*planted.images(1)[0]).shape)
        flops.append(counted.get_total_flops())
    assert shapes[0] == shapes[1]
    assert flops[1] == pytest.approx(flops[0], rel=0.1)
