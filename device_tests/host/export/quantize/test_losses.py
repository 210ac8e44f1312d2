"""Sensitivities, against a whole simulation of the network for each layer."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import nn
from torch.fx import Interpreter, Node

from groundspeed.export.prepare import Prepared, prepare
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.losses import losses, output_sqnr_db
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.quantization import Quantization


class Branches(nn.Module):
    """Two answers, one of which a layer does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.left = nn.Conv2d(4, 6, 1)
        self.right = nn.Conv2d(4, 6, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        one, other = self.stem(x).relu().chunk(2, 1)
        left = self.left(one)
        return left.mean((2, 3)), (left + self.right(other)).relu()


class WritesInPlace(nn.Module):
    """One with an op that writes into a part of what another one made."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Conv2d(8, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x[:, :2] += self.second(nn.functional.pad(x, (1, 1, 1, 1)))[:, :2]
        return x.mean((2, 3))


def quantized(network: nn.Module) -> tuple[Prepared, Quantization, list[tuple[torch.Tensor]]]:
    generator = torch.Generator().manual_seed(1)
    samples = [(torch.randn(1, 3, 12, 12, generator=generator),) for _ in range(4)]
    prepared = prepare(network.eval(), samples[0])
    calibration = calibrate(prepared.program, samples, data="noise", observer="minmax")
    return prepared, Quantization(calibration=calibration), samples


def check_against_whole_simulations(network: nn.Module) -> None:
    prepared, quantization, samples = quantized(network)
    program = prepared.program
    references = [Simulation(program, quantization, only=()).answers(each) for each in samples]
    expected = []
    for layer in layers(program):
        alone = Simulation(program, quantization, only={layer.op})
        answers = [alone.answers(each) for each in samples]
        expected.append((layer.op, output_sqnr_db(references, answers)))
    found = losses(program, quantization, samples)
    assert [(each.op, each.output_sqnr_db) for each in found] == expected


def test_each_layer_costs_what_a_simulation_of_the_whole_network_says() -> None:
    torch.manual_seed(0)
    check_against_whole_simulations(Branches())


def test_values_that_are_written_to_are_computed_for_each_layer() -> None:
    torch.manual_seed(0)
    check_against_whole_simulations(WritesInPlace())


def test_a_layer_loses_what_it_differs_from_the_float_network() -> None:
    torch.manual_seed(0)
    prepared, quantization, samples = quantized(Branches())
    stored = {layer.stored: layer.op for layer in layers(prepared.program)}
    exact: dict[str, list[torch.Tensor]] = {name: [] for name in stored}

    class Spy(Interpreter):
        def run_node(self, n: Node) -> object:
            result = super().run_node(n)
            if n.name in stored:
                exact[n.name].append(result)
            return result

    rounded: dict[str, list[torch.Tensor]] = defaultdict(list)
    simulation = Simulation(
        prepared.program, quantization, watch=lambda name, value: rounded[name].append(value)
    )
    with torch.no_grad():
        for sample in samples:
            Spy(prepared.program.module()).run(*sample)
            simulation.answers(sample)
    found = {each.op: each.sqnr_db for each in losses(prepared.program, quantization, samples)}
    for name, op in stored.items():
        assert found[op] == output_sqnr_db([exact[name]], [rounded[name]])


def test_layers_kept_float_are_left_out_and_each_sample_is_told() -> None:
    prepared, quantization, samples = quantized(Branches())
    first, *others = [layer.op for layer in layers(prepared.program)]
    kept = Quantization(calibration=quantization.calibration, float_ops={first: "asked"})
    told: list[str] = []
    found = losses(prepared.program, kept, samples[:2], on_progress=told.append)
    assert [each.op for each in found] == others
    assert told == [f"sensitivity of 2 layers, sample {number} of 2" for number in (1, 2)]
