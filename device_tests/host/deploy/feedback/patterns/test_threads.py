"""Ops that are too small for several threads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from device_tests.host.deploy.feedback.stage import stage
from groundspeed.deploy.feedback.detect import detect

LARGE, SMALL = torch.zeros(1, 32, 32, 32), torch.zeros(1, 32, 4, 4)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 32, 1))


def test_one_thread_waits_for_nobody() -> None:
    assert detect(stage(network(), SMALL, threads=1), ["threads"]) == ()


def test_large_ops_are_worth_sharing() -> None:
    assert detect(stage(network(), LARGE, threads=4), ["threads"]) == ()


@pytest.mark.parametrize("threads", [2, 4])
def test_small_ops_are_charged_with_what_sharing_could_have_saved(threads: int) -> None:
    scene = stage(network()[1], SMALL, threads=threads)
    (found,) = detect(scene, ["threads"])
    ((position, share),) = found.sightings[0].charges.items()
    assert share == pytest.approx(1 - 1 / threads)
    assert found.pattern.change(scene, found.sightings) is None
    assert position == 0


def test_more_threads_leave_less_for_each() -> None:
    def places(threads: int) -> int:
        found = detect(stage(network(), torch.zeros(1, 32, 8, 8), threads=threads), ["threads"])
        return sum(len(one.finding.places) for one in found)

    assert places(2) < places(16)
