"""Ops know the module and the line that they come from, however the program got here."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from groundspeed.models import cost


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layers(x))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x)) + 1


PLACES = {
    "conv2d": "block.layers.0",
    "batch_norm": "block.layers.1",
    "relu": "block",
    "conv2d_1": "block.layers.0",
    "batch_norm_1": "block.layers.1",
    "relu_1": "block",
    "add": "",
}


def export(network: nn.Module) -> ExportedProgram:
    return torch.export.export(network.eval(), (torch.zeros(1, 4, 8, 8),))


def saved_and_loaded(program: ExportedProgram) -> ExportedProgram:
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file)


def exported_again(program: ExportedProgram) -> ExportedProgram:
    return torch.export.export(program.module(), (torch.zeros(1, 4, 8, 8),))


@pytest.mark.parametrize(
    "way",
    [lambda program: program, saved_and_loaded, exported_again],
    ids=["fresh", "saved", "again"],
)
def test_ops_know_their_module_and_the_users_line(
    way: Callable[[ExportedProgram], ExportedProgram],
) -> None:
    ops = cost.analyze(way(export(Network())))
    assert {op.name: op.module for op in ops} == PLACES
    source = Path(__file__).read_text().splitlines()
    for op in ops:
        file, _, line = op.line.rpartition(":")
        assert Path(file) == Path(__file__)
        wanted = "return self.block(self.block(x)) + 1" if op.name == "add" else "torch.relu(self"
        assert wanted in source[int(line) - 1]


def test_an_op_that_a_pass_made_belongs_to_the_owner_of_its_weights() -> None:
    program = export(Network())
    for node in program.graph.nodes:
        node.meta.pop("nn_module_stack", None)
        node.meta.pop("stack_trace", None)
    places = {op.name: (op.module, op.line) for op in cost.analyze(program)}
    assert places["conv2d_1"] == ("block.layers.0", "")
    assert places["relu"] == ("", "")
