"""Conversions that a runtime inserts: those between ops count, those at the ends do not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from device_tests.host.deploy.feedback.splice import inserted
from device_tests.host.deploy.feedback.stage import stage
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import OpKind


@pytest.fixture(scope="module")
def plain() -> Scene:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2), nn.Conv2d(16, 16, 1))
    return stage(network, torch.zeros(1, 3, 16, 16), fused={OpKind.ACTIVATION})


def names(scene: Scene) -> list[str]:
    return [op.name for op in scene.manifest.ops]


@pytest.mark.parametrize(
    "word", ["ReorderOutput", "ReorderInput", "Transpose (ND, X32) Transpose", "Cast", "Packing"]
)
def test_a_conversion_between_two_ops_is_charged_whole(plain: Scene, word: str) -> None:
    scene = inserted(plain, names(plain)[0], word, 7_000)
    (found,) = detect(scene, ["layout conversion"])
    assert found.finding.attributed.time.ns == pytest.approx(7_000)
    (place,) = found.finding.places
    assert place.ops == tuple(names(plain)[:2])
    assert place.what.startswith(word)


@pytest.mark.parametrize("word", ["LiteRT::Run[buffer registration]", "Constant Pad (ND, X32)"])
def test_not_all_that_is_inserted_is_a_conversion(plain: Scene, word: str) -> None:
    assert detect(inserted(plain, names(plain)[0], word), ["layout conversion"]) == ()


def test_the_way_out_is_no_conversion_inside(plain: Scene) -> None:
    assert detect(inserted(plain, names(plain)[-1], "ReorderOutput"), ["layout conversion"]) == ()


def test_where_the_runtime_tells_what_reads_what_the_order_of_execution_does_not_matter(
    plain: Scene,
) -> None:
    scene = inserted(plain, names(plain)[0], "ReorderInput")  # executed at position 1
    inside, on_the_way_in = {1: (0,), 2: (1,), 3: (2,)}, {2: (0, 1), 3: (2,)}
    assert len(detect(reading(scene, inside), ["layout conversion"])) == 1
    assert detect(reading(scene, on_the_way_in), ["layout conversion"]) == ()


def reading(scene: Scene, reads: dict[int, tuple[int, ...]]) -> Scene:
    """Return a scene whose runtime tells which positions each executed op reads."""
    ops = tuple(
        dataclasses.replace(op, reads=reads.get(i, ())) for i, op in enumerate(scene.profile.ops)
    )
    return dataclasses.replace(scene, profile=dataclasses.replace(scene.profile, ops=ops))


def test_nothing_can_stand_in_its_place_and_the_advice_says_why(plain: Scene) -> None:
    scene = inserted(plain, names(plain)[0], "ReorderOutput")
    (found,) = detect(scene, ["layout conversion"])
    assert found.pattern.change(scene, found.sightings) is None
    assert "cannot be measured" in found.finding.advice
