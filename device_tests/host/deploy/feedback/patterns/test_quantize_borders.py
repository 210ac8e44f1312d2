"""Borders between integers and floating point, by each engine's words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from device_tests.host.deploy.feedback.splice import inserted
from device_tests.host.deploy.feedback.stage import stage
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.scene import Scene


@pytest.fixture(scope="module")
def plain() -> Scene:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.GELU(), nn.Conv2d(16, 16, 1))
    return stage(network, torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("conv_QuantizeLinear", "QuantizeLinear"),
        ("conv_DequantizeLinear", "DequantizeLinear"),
        ("DEQUANTIZE 3", "Convert (NC)"),
        ("quantize_1", "Quantize"),
    ],
)
def test_each_border_inside_is_charged_whole(plain: Scene, name: str, word: str) -> None:
    first, gelu = (op.name for op in plain.manifest.ops[:2])
    scene = inserted(plain, first, word, 4_000, name=name, inserted=False)
    (found,) = detect(scene, ["quantize borders"])
    assert found.finding.attributed.time.ns == pytest.approx(4_000)
    assert found.finding.places[0].ops == (first, gelu)
    assert "activation" in found.finding.advice
    assert detect(scene, ["layout conversion"]) == ()


def test_borders_at_the_end_of_the_network_are_no_island(plain: Scene) -> None:
    last = plain.manifest.ops[-1].name
    scene = inserted(plain, last, "DequantizeLinear", inserted=False)
    assert detect(scene, ["quantize borders"]) == ()


def test_a_float_network_has_none(plain: Scene) -> None:
    assert detect(plain, ["quantize borders"]) == ()
