"""Repairs stay only where they help, and say what they gained."""

import pytest
import torch
from torch import nn

from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.repair import repair


@pytest.fixture(scope="module")
def prepared():
    return prepare(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), (torch.zeros(1, 4),))


def doubling(graph_module):
    doubled = {name: 2 * value for name, value in graph_module.state_dict().items()}
    graph_module.load_state_dict(doubled, assign=True)
    return ("everything doubled",)


def answer(prepared):
    return prepared.program.module()(torch.ones(1, 4))


@pytest.mark.parametrize(("quality", "is_kept"), [([10.0, 12.0], True), ([10.0, 9.0], False)])
def test_a_repair_stays_if_it_helps(prepared, quality, is_kept) -> None:
    before = answer(prepared)
    measured = iter(quality)
    found = repair(prepared, {"double": doubling}, lambda candidate: next(measured))
    torch.testing.assert_close(answer(found), 2 * before if is_kept else before)
    torch.testing.assert_close(answer(prepared), before)
    step = found.steps[-1]
    assert step.name == "double"
    assert f"10.0 dB, then {quality[1]:.1f} dB" in step.notes[-1]
    assert ("undone" in step.notes[-1]) is not is_kept


def test_without_repairs_nothing_is_measured(prepared) -> None:
    assert repair(prepared, {}, lambda candidate: pytest.fail("measured")) is prepared
