"""The first op that a file of integers computes worse than its simulation, on planted values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
from torch import nn

from groundspeed.export.prepare import Prepared, prepare
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.divergence import Divergence, first_beyond
from groundspeed.export.quantize.simulate import Simulation
from groundspeed.quantization import Quantization

Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(64, 5)
    )
    return prepare(network.eval(), [torch.randn(1, 3, 8, 8)])


@pytest.fixture(scope="module")
def samples() -> list[tuple[torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(1, 3, 8, 8, generator=generator),) for _ in range(4)]


@pytest.fixture(scope="module")
def quantization(prepared: Prepared, samples: list[tuple[torch.Tensor]]) -> Quantization:
    return Quantization(calibration=calibrate(prepared.program, samples, data="noise"))


@pytest.fixture
def found(prepared: Prepared, samples: list[tuple[torch.Tensor]], quantization: Quantization):
    """Return a function that looks at a file that holds what is simulated, times some factors."""

    def look(
        factors: Mapping[str, float], floats: Mapping[str, str] | None = None
    ) -> Divergence | None:
        asked = Quantization(calibration=quantization.calibration, float_ops=dict(floats or {}))

        def tensors(sample: tuple[torch.Tensor]) -> Iterator[tuple[str, np.ndarray]]:
            held: Tensors = {}
            simulation = Simulation(
                prepared.program,
                asked,
                watch=lambda name, value: held.update({name: value.numpy()}),
            )
            simulation.answers(sample)
            for name, values in held.items():
                last = np.moveaxis(values, 1, -1) if values.ndim == 4 else values
                with np.errstate(invalid="ignore"):
                    yield f"file/{name}", last * np.float32(factors.get(name, 1.0))

        names = [node.name for node in prepared.program.graph.nodes]
        return first_beyond(
            prepared.program,
            asked,
            ((sample, tensors(sample)) for sample in samples),
            {f"file/{name}": name for name in names},
            symmetric=False,
            allowed=lambda predicted: max(2e-2, 2 * predicted),
        )

    return look


def test_what_is_as_the_simulation_says_diverges_nowhere(found) -> None:
    assert found({}) is None


@pytest.mark.parametrize("factor", [1.5, float("nan"), float("inf")])
def test_the_first_wrong_tensor_is_told_with_its_layer_and_numbers(found, factor) -> None:
    wrong = found({"conv2d_1": factor, "linear": 3.0})
    assert (wrong.op, wrong.module, wrong.layer) == ("conv2d_1", "2", "conv2d_1")
    assert not wrong.off <= 0.4
    assert wrong.predicted < 0.1
    assert "conv2d_1 (module '2'), which is off by" in str(wrong)


def test_an_activation_is_its_layers(found) -> None:
    assert found({"relu": 1.5}).layer == "conv2d"


def test_values_that_are_only_moved_are_their_layers(found) -> None:
    wrong = found({"flatten": 1.5})
    assert (wrong.op, wrong.layer) == ("flatten", "conv2d_1")


def test_a_layer_that_is_in_floating_point_already_is_not_to_be_kept_there(found) -> None:
    wrong = found({"conv2d_1": 1.5}, {"conv2d_1": "asked"})
    assert (wrong.op, wrong.layer) == ("conv2d_1", "")
