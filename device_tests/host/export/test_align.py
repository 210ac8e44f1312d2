"""Tensors of a file find the op that computes the same values, whatever they are called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from groundspeed.export.align import align, canonical_values, first_divergence


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.two = nn.Conv2d(4, 6, 1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.two(self.one(x)).chunk(2, 1)
        return self.head(torch.cat([right, left], 1).mean((2, 3)))


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    torch.manual_seed(0)
    return torch.export.export(Block().eval(), (torch.randn(1, 3, 8, 8),))


@pytest.fixture(scope="module")
def inputs() -> tuple[torch.Tensor, ...]:
    return (torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)),)


@pytest.fixture(scope="module")
def truth(
    program: torch.export.ExportedProgram, inputs: tuple[torch.Tensor, ...]
) -> dict[str, np.ndarray]:
    """Name of an op -> what it computes, by torch's own interpreter."""
    values = {}

    class Spy(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> object:
            values[n.name] = super().run_node(n)
            return values[n.name]

    with torch.no_grad():
        Spy(program.module()).run(*inputs)
    return {name: v.detach().numpy() for name, v in values.items() if isinstance(v, torch.Tensor)}


def test_a_renamed_transposed_flattened_tensor_is_found(
    program: torch.export.ExportedProgram,
    inputs: tuple[torch.Tensor, ...],
    truth: dict[str, np.ndarray],
) -> None:
    tensors = [
        ("a", truth["relu"].transpose(0, 2, 3, 1)),
        ("b", truth["conv2d_1"].reshape(6, 64)),
        ("c", truth["cat"]),
        ("d", truth["linear"][0]),
    ]
    ties = align(canonical_values(program, inputs), tensors, 1e-4)
    assert ties == {"a": "relu", "b": "conv2d_1", "c": "cat", "d": "linear"}


def test_the_same_channels_in_another_order_are_another_tensor(
    program: torch.export.ExportedProgram,
    inputs: tuple[torch.Tensor, ...],
    truth: dict[str, np.ndarray],
) -> None:
    shuffled = truth["conv2d_1"][:, ::-1]
    assert align(canonical_values(program, inputs), [("x", shuffled)], 1e-4) == {}


def test_copies_go_to_the_last_op_that_holds_the_values(
    program: torch.export.ExportedProgram,
    inputs: tuple[torch.Tensor, ...],
    truth: dict[str, np.ndarray],
) -> None:
    tensors = [("first", truth["relu"]), ("copy", truth["relu"].transpose(0, 2, 3, 1))]
    ties = align(canonical_values(program, inputs), tensors, 1e-4)
    assert ties == {"first": "relu", "copy": "relu"}


def test_rounding_within_the_tolerance_is_the_same_tensor(
    program: torch.export.ExportedProgram,
    inputs: tuple[torch.Tensor, ...],
    truth: dict[str, np.ndarray],
) -> None:
    halved = truth["relu"].astype(np.float16)
    values = canonical_values(program, inputs)
    assert align(values, [("x", halved)], 1e-2) == {"x": "relu"}
    assert align(values, [("x", truth["relu"] * 1.1)], 1e-2) == {}


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_is_not_finite_is_tied_to_nothing(
    program: torch.export.ExportedProgram,
    inputs: tuple[torch.Tensor, ...],
    truth: dict[str, np.ndarray],
    poison: float,
) -> None:
    spoilt = truth["relu"].copy()
    spoilt.flat[0] = poison
    assert align(canonical_values(program, inputs), [("x", spoilt)], 1e-2) == {}


@pytest.mark.parametrize(
    ("tied", "first"),
    [
        # The first convolution is fused into its activation: not tied, and yet right.
        (["relu"], "conv2d_1 (module 'two')"),
        ([], "conv2d (module 'one.0')"),
        (["relu", "conv2d_1", "cat", "mean"], "linear (module 'head')"),
        (["relu", "conv2d_1", "cat", "mean", "linear"], ""),
    ],
)
def test_the_first_wrong_op_is_named(
    program: torch.export.ExportedProgram,
    inputs: tuple[torch.Tensor, ...],
    tied: list[str],
    first: str,
) -> None:
    assert first_divergence(program, canonical_values(program, inputs), tied) == first


class Halves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        return torch.cat([y[:, 2:].sin(), y[:, :2].cos()], 1)


def test_a_right_part_does_not_prove_the_whole() -> None:
    inputs = (torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0)),)
    halves = torch.export.export(Halves(), inputs)
    values = canonical_values(halves, inputs)
    assert values[0].op == "exp"
    assert first_divergence(halves, values, ["sin"]).startswith("exp ")
    assert first_divergence(halves, values, ["sin", "cos"]).startswith("cat ")
