"""A quantizer that is wrong here is replaced by its careful twin; the simulation tells."""

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from groundspeed.export.formats import QUANTIZERS
from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.apply import quantize_file
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.onnx_int8 import CarefulOnnxQuantizer, OnnxQuantizer
from groundspeed.export.to_onnx import OnnxWriter
from groundspeed.quantization import Quantization


class Wrong(OnnxQuantizer):
    """Doubles the scales of weights after they are quantized."""

    careful = None

    def quantize(self, written, folder, ties, quantization):
        made = super().quantize(written, folder, ties, quantization)
        model = onnx.load(folder / "model.onnx")
        for constant in model.graph.initializer:
            if constant.name.endswith("weight_scale"):
                doubled = 2 * numpy_helper.to_array(constant)
                constant.CopyFrom(numpy_helper.from_array(doubled, constant.name))
        onnx.save(model, folder / "model.onnx")
        return made


class WrongButCareful(Wrong):
    careful = CarefulOnnxQuantizer


@pytest.fixture
def quantized(small, tmp_path, monkeypatch):
    """Return a function that quantizes the small network by one of the classes above."""
    generator = torch.Generator().manual_seed(1)
    samples = [(torch.randn(1, 3, 32, 32, generator=generator),) for _ in range(32)]
    calibration = calibrate(small.program, samples, data="noise")
    written = OnnxWriter().write(
        small.program.module(), small.inputs, tmp_path, precision="fp32", layout=None
    )

    def run(quantizer):
        monkeypatch.setattr(QUANTIZERS, "load", lambda name: quantizer)
        return quantize_file(
            small.program,
            small.reference,
            small.inputs,
            written,
            tmp_path,
            Quantization(calibration=calibration),
            samples[:8],
            format="onnx",
            runtime="onnxruntime",
            precision="int8",
        )

    return run


def test_wrong_scales_fail_against_the_simulation(quantized) -> None:
    _, checked = quantized(Wrong)
    assert not checked.parity.passed


def test_the_first_layer_that_is_wrong_is_told_with_its_module_and_numbers(quantized) -> None:
    parity = quantized(Wrong)[1].parity
    # The tensor is the activation's, which the layer's kernel computes.
    assert parity.first_divergence.startswith("relu (module 'stem.2'), which is off by")
    assert "where its simulation is by 0.0" in parity.first_divergence
    assert parity.layer == "conv2d"


def test_a_file_that_is_right_diverges_nowhere(quantized) -> None:
    parity = quantized(OnnxQuantizer)[1].parity
    assert (parity.passed, parity.first_divergence, parity.layer) == (True, "", "")


def test_the_careful_quantizer_begins_with_the_float_file_again(quantized) -> None:
    made, checked = quantized(WrongButCareful)
    assert checked.parity.passed
    assert [step.name for step in made.steps].count("quantize") == 1
    assert checked.tensors["relu_q"] == "relu"


class Overflowing(nn.Module):
    """A layer whose sums of products leave 32 bits, between two that are harmless."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.wide = nn.Linear(4 * 160 * 160, 4)
        self.head = nn.Linear(4, 4)
        with torch.no_grad():
            self.stem.weight.fill_(0.33)
            self.stem.bias.zero_()
            self.wide.weight.fill_(1e-5)

    def forward(self, x):
        return self.head(self.wide(self.stem(x).flatten(1)))


def test_a_kernel_that_overflows_is_found_in_the_engine_itself(tmp_path) -> None:
    torch.manual_seed(0)
    samples = [(0.9 + 0.1 * torch.rand(1, 3, 160, 160),) for _ in range(2)]
    prepared = prepare(Overflowing().eval(), samples[0])
    written = OnnxWriter().write(
        prepared.program.module(), prepared.inputs, tmp_path, precision="fp32", layout=None
    )
    _, checked = quantize_file(
        prepared.program,
        prepared.reference,
        prepared.inputs,
        written,
        tmp_path,
        Quantization(calibration=calibrate(prepared.program, samples, data="bright")),
        samples,
        format="onnx",
        runtime="onnxruntime",
        precision="int8",
    )
    assert not checked.parity.passed
    assert checked.parity.layer == "linear"
    assert "(module 'wide')" in checked.parity.first_divergence
