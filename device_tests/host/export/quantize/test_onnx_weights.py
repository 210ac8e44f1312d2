"""8-bit weights alone: smaller files that answer nearly the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from groundspeed.export.quantize.onnx_weights import DynamicQuantizer, WeightOnlyQuantizer
from groundspeed.export.to_onnx import OnnxWriter
from groundspeed.quantization import Quantization

NOTHING = Quantization()


def answer(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("quantizer", "op", "type"),
    [
        (DynamicQuantizer, "ConvInteger", TensorProto.UINT8),
        (WeightOnlyQuantizer, "DequantizeLinear", TensorProto.INT8),
    ],
)
def test_weights_are_integers_and_answers_nearly_the_same(
    small, tmp_path, quantizer, op, type
) -> None:
    graph_module = small.program.module()
    made = OnnxWriter().write(graph_module, small.inputs, tmp_path, precision="fp32", layout=None)
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    path = tmp_path / "model.onnx"
    exact = answer(path, x)
    found = quantizer().quantize(made, tmp_path, {}, NOTHING)
    model = onnx.load(path)
    assert op in {node.op_type for node in model.graph.node}
    assert sum(each.data_type == type and len(each.dims) > 1 for each in model.graph.initializer)
    assert found.steps[-1].name == "quantize"
    difference = np.abs(answer(path, x) - exact).max()
    assert 0 < difference < 0.05 * np.abs(exact).max()


def test_weight_only_is_within_half_a_step_of_each_weight(tmp_path) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 5).eval()
    program = torch.export.export(layer, (torch.zeros(1, 6),))
    made = OnnxWriter().write(
        program.module(), (torch.zeros(1, 6),), tmp_path, precision="fp32", layout=None
    )
    WeightOnlyQuantizer().quantize(made, tmp_path, {}, NOTHING)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (name,) = [each.name for each in session.get_inputs()]
    unit = np.eye(6, dtype=np.float32)
    found = np.concatenate([session.run(None, {name: row[None]})[0] for row in unit])
    stored = (found - layer.bias.detach().numpy()).T
    weight = layer.weight.detach().numpy()
    steps = np.abs(weight).max(axis=1, keepdims=True) / 127
    assert np.all(np.abs(stored - weight) <= steps * 0.501)
