"""Which ops follow when only some layers compute with integers, and what that does to values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from groundspeed.deploy.mixing.subject import Subject, float_ops
from groundspeed.export.prepare import Prepared, prepare
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.losses import output_sqnr_db
from groundspeed.export.quantize.simulate import Simulation
from groundspeed.quantization import Quantization

LAYERS = ("conv2d", "conv2d_1", "conv2d_2")


class Residual(nn.Module):
    """conv2d -> relu -> conv2d_1, added to relu's, pooled -> conv2d_2."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.branch = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = x + self.branch(x)
        return self.last(nn.functional.max_pool2d(x, 8)).flatten(1)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    torch.manual_seed(0)
    return prepare(Residual().eval(), [torch.randn(1, 3, 8, 8)])


@pytest.fixture(scope="module")
def samples() -> list[tuple[torch.Tensor, ...]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(1, 3, 8, 8, generator=generator),) for _ in range(4)]


@pytest.fixture(scope="module")
def subject(prepared: Prepared, samples: list[tuple[torch.Tensor, ...]]) -> Subject:
    calibration = calibrate(prepared.program, samples, data="noise")
    return Subject(
        program=prepared.program,
        untouched=prepared.program,
        quantization=Quantization(calibration=calibration),
    )


@pytest.mark.parametrize(
    ("chosen", "integers"),
    [
        (LAYERS, {"x", "conv2d", "relu", "conv2d_1", "add", "max_pool2d", "conv2d_2", "flatten"}),
        (LAYERS[:2], {"x", "conv2d", "relu", "conv2d_1", "add", "max_pool2d"}),
        # One side of the addition is in floating point, so it is. What is moved from there is read
        # by nothing but a layer in integers.
        (("conv2d", "conv2d_2"), {"x", "conv2d", "relu", "max_pool2d", "conv2d_2", "flatten"}),
        (("conv2d_1",), {"conv2d_1"}),
        (("conv2d_2",), {"max_pool2d", "conv2d_2", "flatten"}),
        ((), set()),
    ],
)
def test_what_lies_between_layers_is_in_integers_where_all_that_it_reads_is(
    prepared: Prepared, chosen: tuple[str, ...], integers: set[str]
) -> None:
    floats = set(float_ops(prepared.program, frozenset(chosen)))
    nodes = {
        node.name
        for node in prepared.program.graph.nodes
        if node.op == "call_function" or node.name == "x"
    }
    assert nodes - floats == integers


def test_every_op_has_its_reason_and_the_users_goes_first(subject: Subject) -> None:
    asked = Quantization(
        calibration=subject.quantization.calibration, float_ops={"conv2d_1": "as asked for"}
    )
    kept = Subject(program=subject.program, untouched=subject.untouched, quantization=asked)
    floats = kept.mixed(frozenset({"conv2d_2"}), lambda op: f"{op} is slow").float_ops
    assert floats is not None
    assert floats["conv2d_1"] == "as asked for"
    assert floats["relu"] == floats["conv2d"] == "conv2d is slow"
    assert floats["add"]
    assert "conv2d_2" not in floats


@pytest.mark.parametrize("only_layers", [True, False])
@settings(deadline=None, max_examples=8)
@given(chosen=st.frozensets(st.sampled_from(LAYERS), min_size=1))
def test_layers_in_floating_point_compute_as_the_network_does(
    subject: Subject,
    samples: list[tuple[torch.Tensor, ...]],
    only_layers: bool,
    chosen: frozenset[str],
) -> None:
    """Up to the first layer in integers, nothing is rounded; behind it, the noise is bounded."""
    mixed = Subject(
        program=subject.program,
        untouched=subject.untouched,
        quantization=subject.quantization,
        only_layers=only_layers,
    )
    exact = mixed.simulation(frozenset())
    rounded = mixed.simulation(chosen)
    sqnr_db = output_sqnr_db(map(exact.answers, samples), map(rounded.answers, samples))
    assert 20 < sqnr_db < math.inf


def test_a_layers_input_is_rounded_for_it_alone(
    subject: Subject, samples: list[tuple[torch.Tensor, ...]]
) -> None:
    """The addition beside a layer in integers reads the floats, as it does in every engine."""
    seen: dict[str, torch.Tensor] = {}
    exact: dict[str, torch.Tensor] = {}
    quantization = subject.mixed(frozenset({"conv2d_1"}))
    Simulation(subject.program, quantization, watch=seen.__setitem__).answers(samples[0])
    Simulation(subject.program, quantization, only=(), watch=exact.__setitem__).answers(samples[0])
    assert torch.equal(seen["relu"], exact["relu"])
    assert not torch.equal(seen["conv2d_1"], exact["conv2d_1"])
    assert torch.equal(seen["add"], exact["relu"] + seen["conv2d_1"])
