"""A network must answer numbers before a file can be compared with it."""

from __future__ import annotations

import pytest
import torch

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ParityError
from groundspeed.export.check import compare
from groundspeed.export.writer import Written


class Logarithm:
    """A session that computes the logarithm, as torch does."""

    def run(self, feeds):
        return {"y": torch.log(torch.from_numpy(feeds["x"])).numpy()}


SPEC = {"shape": (4,), "dtype": "float32"}
WRITTEN = Written(
    files=(),
    inputs=(TensorSpec(name="x", **SPEC),),
    outputs=(TensorSpec(name="y", **SPEC),),
    steps=(),
)


def test_a_network_that_answers_nan_itself_is_told() -> None:
    inputs = (-torch.ones(4),)
    with pytest.raises(ParityError, match="network itself answers NaN"):
        compare(Logarithm(), torch.log, inputs, WRITTEN, precision="fp32")


def test_inputs_that_the_network_is_not_made_for_are_left_out() -> None:
    parity = compare(Logarithm(), torch.log, (torch.ones(4),), WRITTEN, precision="fp32")
    assert parity.passed
    # The given ones and those between 0 and 1; no noise of either sign has a logarithm.
    assert parity.inputs == 2
