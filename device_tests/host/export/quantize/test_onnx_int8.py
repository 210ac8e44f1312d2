"""ONNX with integers: which kernels ONNX Runtime takes, and what they compute."""

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from groundspeed.export.check import check
from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.export.quantize.onnx_int8 import CarefulOnnxQuantizer, OnnxQuantizer
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.export.to_onnx import OnnxWriter
from groundspeed.quantization import Quantization, Range, weight_scales

SHAPE = (1, 3, 32, 32)


@pytest.fixture(scope="module")
def samples():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(SHAPE, generator=generator),) for _ in range(40)]


@pytest.fixture(scope="module")
def prepared(small):
    return small


@pytest.fixture(scope="module")
def quantization(prepared, samples):
    return Quantization(calibration=calibrate(prepared.program, samples, data="noise"))


def written(prepared, quantization, folder, quantizer=OnnxQuantizer):
    """Return the float file, its ties, and the path of the integer file."""
    inputs = prepared.inputs
    graph_module = prepared.program.module()
    made = OnnxWriter().write(graph_module, inputs, folder, precision="fp32", layout=None)
    found = check(
        prepared.program,
        prepared.reference,
        inputs,
        made,
        folder,
        runtime="onnxruntime",
        precision="fp32",
    )
    before = onnx.load(folder / "model.onnx")
    quantized = quantizer().quantize(made, folder, {"x": "x", **found.tensors}, quantization)
    return before, quantized, folder / "model.onnx"


@pytest.fixture(scope="module")
def file(prepared, quantization, tmp_path_factory):
    return written(prepared, quantization, tmp_path_factory.mktemp("onnx"))


def session(path, optimized=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def kernels(path, folder):
    session(path, folder / "optimized.onnx")
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def test_all_layers_take_integer_kernels_and_no_pair_stands_inside(file, tmp_path) -> None:
    _, _, path = file
    found = kernels(path, tmp_path)
    assert found["QLinearConv"] == 3
    assert found["QGemm"] == 1
    assert not {"Conv", "Gemm", "Relu"} & set(found)
    # One at the input, and one on each side of the mean, which has no integer kernel.
    assert found["QuantizeLinear"] == 2
    assert found["DequantizeLinear"] == 1


def roomy(calibration):
    """Return twice the ranges, so that values take the lower half of their integers.

    Sums of two products then stay within 16 bits, and processors without VNNI are exact too.
    """
    ranges = {
        name: Range(low=found.low, high=2 * found.high - found.low)
        for name, found in calibration.ranges.items()
    }
    return replace(calibration, ranges=ranges)


def test_it_computes_what_the_simulation_says(prepared, quantization, samples, tmp_path) -> None:
    quantization = replace(quantization, calibration=roomy(quantization.calibration))
    _, _, path = written(prepared, quantization, tmp_path)
    engine = session(path)
    simulation = Simulation(prepared.program, quantization)
    plain = Simulation(prepared.program, quantization, only=())
    found, simulated, exact = [], [], []
    for sample in samples[:8]:
        found.append(engine.run(None, {"x": sample[0].numpy()})[0])
        simulated.append(simulation.answers(sample)[0].numpy())
        exact.append(plain.answers(sample)[0].numpy())
    noise = np.abs(np.subtract(simulated, exact)).max()
    assert 0 < np.abs(np.subtract(found, exact)).max() <= 2 * noise


def test_weights_and_ranges_are_the_ones_asked_for(file, quantization) -> None:
    before, _, path = file
    model = onnx.load(path)
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    floats = {each.name: numpy_helper.to_array(each) for each in before.graph.initializer}
    convolutions = [node for node in before.graph.node if node.op_type == "Conv"]
    for node in convolutions:
        weight = floats[node.input[1]]
        reader = next(
            each
            for each in model.graph.node
            if each.op_type == "DequantizeLinear" and each.input[0] == f"{node.input[1]}_q"
        )
        integers, scales = constants[reader.input[0]], constants[reader.input[1]]
        assert integers.dtype == np.int8
        assert not constants[reader.input[2]].any()
        np.testing.assert_allclose(scales, weight_scales(weight, per_channel=True), rtol=1e-5)
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    scale, zero_point = quantization.calibration.ranges["x"].asymmetric(0, 255)
    assert constants[first.input[1]] == pytest.approx(scale, rel=1e-5)
    assert constants[first.input[2]] == pytest.approx(zero_point, abs=1)
    biases = [each for each in model.graph.initializer if each.data_type == TensorProto.INT32]
    assert len(biases) == 4


def test_layers_stay_float_when_asked(prepared, quantization, tmp_path) -> None:
    first = layers(prepared.program)[0]
    kept = Quantization(
        calibration=quantization.calibration,
        float_ops=dict.fromkeys(first.members, "slower in int8"),
    )
    _, made, path = written(prepared, kept, tmp_path)
    found = kernels(path, tmp_path)
    assert found["QLinearConv"] == 2
    assert any("slower in int8" in note for note in made.steps[-1].notes)
    assert "3 of 4 layers in int8" in made.steps[-1].notes


def test_steps_and_size_are_told(file) -> None:
    _, made, path = file
    assert made.steps[-1].name == "quantize"
    assert made.steps[-1].notes[:2] == ("weights in QInt8", "4 of 4 layers in int8")
    (described,) = made.files
    assert described.size_bytes == path.stat().st_size


class Wide(nn.Module):
    """Sums of products that saturate 16 bits: what VPMADDUBSW gets wrong."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(64, 8, 1)
        nn.init.ones_(self.convolution.weight)
        nn.init.zeros_(self.convolution.bias)

    def forward(self, x):
        return self.convolution(x)


def test_no_product_saturates_when_careful(tmp_path) -> None:
    inputs = (torch.ones(1, 64, 4, 4),)
    prepared = prepare(Wide().eval(), inputs)
    quantization = Quantization(calibration=calibrate(prepared.program, [inputs], data="ones"))
    _, _, path = written(prepared, quantization, tmp_path, CarefulOnnxQuantizer)
    (answer,) = session(path).run(None, {"x": np.ones((1, 64, 4, 4), np.float32)})
    np.testing.assert_allclose(answer, 64.0, rtol=0.01)
