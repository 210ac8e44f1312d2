"""Samples in batches of any size, and outputs with or without a batch of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from groundspeed.deploy.contestants import OpenNetwork
from groundspeed.deploy.sources import Network
from groundspeed.errors import InputError, NonFiniteOutput

SAMPLES = np.random.default_rng(0).standard_normal((7, 3, 4, 5)).astype(np.float32)


class Calling(nn.Module):
    """A network that is a function."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def answers(function, batch: int = 1) -> list[np.ndarray]:
    network = Network(
        name="net", spec="net", module=Calling(function), inputs=(torch.zeros(batch, 3, 4, 5),)
    )
    opened = OpenNetwork(network)
    opened.ask(SAMPLES)
    return opened.answers()


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 16])
def test_every_batch_gives_one_row_for_each_sample(batch: int) -> None:
    (means,) = answers(lambda x: x.mean((2, 3)), batch)
    assert means == pytest.approx(SAMPLES.mean((2, 3)), abs=1e-6)


def test_several_outputs_come_in_order() -> None:
    first, second = answers(lambda x: {"sum": x.sum((1, 2, 3)), "map": x}, batch=4)
    assert first == pytest.approx(SAMPLES.sum((1, 2, 3)), abs=1e-4)
    assert np.array_equal(second, SAMPLES)


def test_an_output_without_a_batch() -> None:
    (scores,) = answers(lambda x: x.mean((0, 2, 3)))
    assert scores == pytest.approx(SAMPLES.mean((2, 3)), abs=1e-6)
    with pytest.raises(InputError, match="one row for each of the 2 samples"):
        answers(lambda x: x.mean((0, 2, 3)), batch=2)


def test_what_is_not_finite_is_no_answer() -> None:
    with pytest.raises(NonFiniteOutput, match="NaN or infinity"):
        answers(lambda x: x / 0)


def test_networks_of_several_inputs_are_refused() -> None:
    network = Network(name="net", spec="net", module=nn.Identity(), inputs=(torch.zeros(1),) * 2)
    with pytest.raises(InputError, match="several inputs"):
        OpenNetwork(network)
