"""Calibration. Oracle: hooks on the network itself."""

import pytest
import torch
from torch import nn

from groundspeed.errors import DataError, UnknownName
from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.calibrate import FEW, calibrate

SHAPE = (1, 3, 8, 8)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3),
        nn.Flatten(),
        nn.Linear(180, 2),
    ).eval()


@pytest.fixture(scope="module")
def prepared(network):
    return prepare(network, (torch.zeros(SHAPE),))


def images(count):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(SHAPE, generator=generator),) for _ in range(count)]


def test_ranges_are_what_hooks_on_the_network_see(network, prepared) -> None:
    seen = []
    hook = network[2].register_forward_hook(lambda *call: seen.append(call[2].detach()))
    samples = images(FEW)
    with torch.no_grad():
        for (sample,) in samples:
            network(sample)
    hook.remove()
    calibration = calibrate(prepared.program, samples, data="noise")
    found = calibration.ranges["conv2d_1"]
    assert found.low == pytest.approx(torch.stack(seen).min().item(), rel=1e-5)
    assert found.high == pytest.approx(torch.stack(seen).max().item(), rel=1e-5)
    assert calibration.ranges["flatten"] == found
    assert calibration.ranges["relu"].low == 0.0
    assert calibration.samples == FEW
    assert calibration.notes == ()


def test_few_samples_are_noted(prepared) -> None:
    assert "only 2 samples" in calibrate(prepared.program, images(2), data="noise").notes[0]


def test_no_samples_are_refused(prepared) -> None:
    with pytest.raises(DataError, match="holds no samples"):
        calibrate(prepared.program, [], data="an empty folder")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_without_an_integer_are_refused(prepared, value) -> None:
    broken = torch.zeros(SHAPE)
    broken[0, 0, 0, 0] = value
    with pytest.raises(DataError, match="holds NaN or infinity on sample 2"):
        calibrate(prepared.program, [*images(1), (broken,)], data="noise")


def test_another_layout_is_refused(prepared) -> None:
    with pytest.raises(DataError, match="1x8x8x3, the network takes 1x3x8x8"):
        calibrate(prepared.program, [(torch.zeros(1, 8, 8, 3),)], data="NHWC")


def test_tensors_of_zeros_are_told(prepared) -> None:
    calibration = calibrate(prepared.program, [(torch.zeros(SHAPE),)] * FEW, data="black")
    assert any("zero on every sample" in note for note in calibration.notes)


def test_an_unknown_observer_is_told_with_the_known_ones(prepared) -> None:
    with pytest.raises(UnknownName, match="minmax"):
        calibrate(prepared.program, images(1), data="noise", observer="minmx")
