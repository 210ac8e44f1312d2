"""Simulated integers. Oracle: the arithmetic of integers itself, in numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.losses import losses, output_sqnr_db
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.quantization import Quantization, quantized, weight_scales


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()


@pytest.fixture(scope="module")
def samples():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(1, 6, generator=generator),) for _ in range(40)]


@pytest.fixture(scope="module")
def program(network):
    return prepare(network, (torch.zeros(1, 6),)).program


@pytest.fixture(scope="module")
def quantization(program, samples):
    return Quantization(calibration=calibrate(program, samples, data="noise"))


def integer_linear(values, layer, ranges, source, stored):
    """Compute a layer as integers do: products and sums in integers, one rescaling at the end."""
    in_scale, in_zero = ranges[source].asymmetric(-128, 127)
    out_scale, out_zero = ranges[stored].asymmetric(-128, 127)
    weight = layer.weight.detach().numpy()
    scales = weight_scales(weight, per_channel=True)
    integers = quantized(values, in_scale, in_zero, least=-128).astype(np.int64)
    weights = quantized(weight, scales[:, None]).astype(np.int64)
    sums = (integers - in_zero) @ weights.T
    real = sums * (in_scale * scales.astype(float)) + layer.bias.detach().numpy()
    if stored == "relu":
        real = np.maximum(real, 0)
    return (np.clip(np.rint(real / out_scale) + out_zero, -128, 127) - out_zero) * out_scale


def test_it_computes_what_integers_compute(network, program, samples, quantization) -> None:
    ranges = quantization.calibration.ranges
    simulation = Simulation(program, quantization)
    for (sample,) in samples[:8]:
        hidden = integer_linear(sample.numpy(), network[0], ranges, "input", "relu")
        expected = integer_linear(hidden.astype(np.float32), network[2], ranges, "relu", "linear_1")
        (answer,) = simulation.answers((sample,))
        step = ranges["linear_1"].asymmetric(-128, 127)[0]
        # Sums in float32 may round a tie to the other side.
        assert np.abs(answer.numpy() - expected).max() <= step * 1.001
        assert np.mean(np.abs(answer.numpy() - expected) < step / 2) >= 2 / 3


def test_with_no_layer_it_is_the_network(network, program, samples, quantization) -> None:
    simulation = Simulation(program, quantization, only=())
    for sample in samples[:3]:
        torch.testing.assert_close(simulation.answers(sample)[0], network(*sample).detach())


def test_layers_kept_float_are_left_alone(program, samples, quantization) -> None:
    kept = {member: "asked" for layer in layers(program) for member in layer.members}
    floats = Quantization(
        calibration=quantization.calibration, float_ops={**kept, "input": "asked"}
    )
    plain = Simulation(program, quantization, only=())
    found = Simulation(program, floats)
    for sample in samples[:3]:
        torch.testing.assert_close(found.answers(sample)[0], plain.answers(sample)[0])


def test_a_layer_and_its_activation_are_one(program) -> None:
    first, second = layers(program)
    assert (first.op, first.stored) == ("linear", "relu")
    assert second.members == ("linear_1",)


def test_the_layer_with_one_huge_weight_costs_the_most(samples) -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        network[2].weight[0, 0] = 300.0
        network[0].weight[0] = 0.0
        network[0].bias[0] = 0.0  # the huge weight meets a zero: it costs others their precision
    prepared = prepare(network.eval(), (torch.zeros(1, 6),))
    quantization = Quantization(
        calibration=calibrate(prepared.program, samples, data="noise"), per_channel=False
    )
    lost = losses(prepared.program, quantization, samples[:8])
    assert [each.module for each in lost] == ["0", "2", "4"]
    assert min(lost, key=lambda each: each.output_sqnr_db).module == "2"


def test_noise_is_measured_over_all_outputs_and_samples() -> None:
    exact, found = [[torch.tensor([3.0, 4.0])]], [[torch.tensor([3.0, 4.5])]]
    assert output_sqnr_db(exact, found) == pytest.approx(20.0)


def test_a_layer_that_is_quantized_alone_reads_rounded_inputs(
    network, program, samples, quantization
) -> None:
    alone = Simulation(program, quantization, only={"linear"})
    ranges = quantization.calibration.ranges
    differences = []
    for (sample,) in samples:
        hidden = integer_linear(sample.numpy(), network[0], ranges, "input", "relu")
        expected = network[2](torch.from_numpy(hidden.astype(np.float32))).detach()
        differences.append((alone.answers((sample,))[0] - expected).abs().max().item())
    # Sums in float32 may round a tie to the other side.
    assert np.mean(np.less(differences, 1e-5)) >= 0.9
