"""A quantizer that is wrong here is replaced by its careful twin; the simulation tells."""

import onnx
import pytest
import torch
from onnx import numpy_helper

from groundspeed.export.formats import QUANTIZERS
from groundspeed.export.quantize.apply import quantize_file
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.onnx_int8 import OnnxQuantizer
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
    careful = OnnxQuantizer


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


def test_the_careful_quantizer_begins_with_the_float_file_again(quantized) -> None:
    made, checked = quantized(WrongButCareful)
    assert checked.parity.passed
    assert [step.name for step in made.steps].count("quantize") == 1
    assert checked.tensors["relu_q"] == "relu"
