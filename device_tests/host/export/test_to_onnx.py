"""ONNX files: the ops one would write by hand. Oracle: ONNX's own reference evaluator."""

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from groundspeed.artifact import File
from groundspeed.errors import ExportError, UnsupportedOp
from groundspeed.export.to_onnx import OnnxWriter


def assert_computes(path, prepared, *, tolerance):
    session = ReferenceEvaluator(str(path))
    feeds = {
        name: tensor.numpy()
        for name, tensor in zip(session.input_names, prepared.inputs, strict=True)
    }
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(prepared.reference(*prepared.inputs))
    for answer, tensor in zip(session.run(None, feeds), expected, strict=True):
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, tensor.numpy(), rtol=tolerance, atol=tolerance)


def test_ops_are_those_of_the_network_and_tensors_bear_their_names(written, small, tmp_path):
    made = written(OnnxWriter(), "onnx", small)
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    assert [node.op_type for node in nodes] == [
        *("Conv", "Relu", "MaxPool", "Split", "Conv", "Relu", "Conv", "Concat"),
        *("Reshape", "Transpose", "Reshape", "ReduceMean", "Reshape", "Gemm"),
    ]
    canonical = {node.name for node in small.program.graph.nodes}
    assert {"conv2d", "relu", "max_pool2d", "cat"} <= canonical & {node.output[0] for node in nodes}
    (spec,) = made.inputs
    assert (spec.name, spec.shape, spec.dtype) == ("x", (1, 3, 32, 32), "float32")
    assert spec.layout == "NCHW"
    assert [output.shape for output in made.outputs] == [(1, 10)]
    assert made.files == (File.of("model", tmp_path / "model.onnx"),)
    assert_computes(tmp_path / "model.onnx", small, tolerance=1e-5)


def test_fp16_halves_the_weights_and_keeps_float32_at_the_ends(written, small, tmp_path):
    made = written(OnnxWriter(), "onnx", small, precision="fp16")
    weights = onnx.load(tmp_path / "model.onnx").graph.initializer
    floats = {w.data_type for w in weights} - {onnx.TensorProto.INT64}
    assert floats == {onnx.TensorProto.FLOAT16}
    assert {spec.dtype for spec in made.inputs + made.outputs} == {"float32"}
    assert "float16" in [step.name for step in made.steps]
    assert_computes(tmp_path / "model.onnx", small, tolerance=1e-2)


def test_dicts_become_outputs_in_order(written, two_heads, tmp_path):
    made = written(OnnxWriter(), "onnx", two_heads)
    assert [spec.name for spec in made.inputs] == ["image", "condition"]
    assert [spec.layout for spec in made.inputs + made.outputs] == ["NCHW", "", "NCHW", ""]
    assert_computes(tmp_path / "model.onnx", two_heads, tolerance=1e-5)


def test_an_op_that_onnx_lacks_is_named(written, unsayable, tmp_path):
    with pytest.raises(UnsupportedOp, match="i0e"):
        written(OnnxWriter(), "onnx", unsayable)
    assert not list(tmp_path.iterdir())


def test_channels_last_is_refused(written, small):
    with pytest.raises(ExportError, match="NHWC"):
        written(OnnxWriter(), "onnx", small, layout="NHWC")
