"""What a check finds: wrong weights in a file by the op's name, and networks that answer NaN."""

from __future__ import annotations

import shutil

import pytest
import torch

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ParityError
from groundspeed.export.check import check, compare
from groundspeed.export.formats import FORMATS, runtime_of
from groundspeed.export.parity import check_inputs
from groundspeed.export.rewrites.catalog import rewrite
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
        compare(Logarithm(), torch.log, check_inputs(inputs), WRITTEN, tolerance=2e-5)


def test_inputs_that_the_network_is_not_made_for_are_left_out() -> None:
    parity = compare(
        Logarithm(), torch.log, check_inputs((torch.ones(4),)), WRITTEN, tolerance=2e-5
    )
    assert parity.passed
    # The given ones and those between 0 and 1; no noise of either sign has a logarithm.
    assert parity.inputs == 2


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    """Return a function that writes the small network once in each format."""
    made = {}

    def write(format):
        if format not in made:
            folder = tmp_path_factory.mktemp(format)
            graph_module, _ = rewrite(small.program, format)
            writer = FORMATS.load(format)()
            written = writer.write(
                graph_module, small.inputs, folder, precision="fp32", layout=None
            )
            made[format] = folder, written
        return made[format]

    return write


def plant(folder, right: torch.Tensor, wrong: torch.Tensor) -> None:
    """Replace a weight in the files.

    Convolutions' weights lie there as in torch, or in TFLite's orders for dense and depthwise ones.
    """
    orders = [(0, 1, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0)] if right.dim() == 4 else [(0, 1)]
    replacements = {
        right.permute(order).contiguous().numpy().tobytes(): wrong.permute(order).contiguous()
        for order in orders
    }
    found = 0
    for path in folder.iterdir():
        content = path.read_bytes()
        for sought, replacement in replacements.items():
            found += content.count(sought)
            content = content.replace(sought, replacement.numpy().tobytes())
        path.write_bytes(content)
    assert found == 1


@pytest.mark.parametrize(
    ("weight", "op"),
    [
        ("stem.0.weight", "conv2d (module 'stem.0')"),
        ("unit.branch.0.weight", "conv2d_1 (module 'unit.branch.0')"),
        ("unit.branch.3.weight", "conv2d_2 (module 'unit.branch.3')"),
        ("classifier.weight", "linear (module 'classifier')"),
    ],
)
@pytest.mark.parametrize("format", ["onnx", "ncnn", "tflite"])
def test_a_wrong_weight_in_a_file_is_told_by_the_op_that_has_it(
    files, small, tmp_path, format, weight, op
) -> None:
    right = small.program.state_dict[weight].detach()
    original, written = files(format)
    folder = shutil.copytree(original, tmp_path / format)
    wrong = right.clone()
    wrong[0] = -wrong[0]
    plant(folder, right, wrong)

    found = check(
        small.program,
        small.traced.module(),
        small.inputs,
        written,
        folder,
        runtime=runtime_of(format),
        precision="fp32",
    )
    assert not found.parity.passed
    assert found.parity.first_divergence == op
