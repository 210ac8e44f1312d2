"""TFLite files: channel-last, without ops that only move data about. Oracle: torch."""

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from groundspeed.artifact import File
from groundspeed.errors import UnsupportedOp
from groundspeed.export.to_tflite import TfliteWriter


def ops(path):
    return [op["op_name"] for op in Interpreter(model_path=str(path))._get_ops_details()]


def assert_computes(path, prepared, made, *, tolerance):
    runner = Interpreter(model_path=str(path)).get_signature_runner()
    feeds = {
        spec.name: (tensor.permute(0, 2, 3, 1) if spec.layout == "NHWC" else tensor).numpy()
        for spec, tensor in zip(made.inputs, prepared.inputs, strict=True)
    }
    answers = runner(**feeds)
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(prepared.reference(*prepared.inputs))
    for spec, tensor in zip(made.outputs, expected, strict=True):
        answer = answers[spec.name]
        if spec.layout == "NHWC":
            answer = np.moveaxis(answer, -1, 1)
        np.testing.assert_allclose(answer, tensor.numpy(), rtol=tolerance, atol=tolerance)


def test_halved_weights_and_no_op_too_many(written, small, tmp_path):
    made = written(TfliteWriter(), "tflite", small, precision="fp16")
    names = ops(tmp_path / "model.tflite")
    assert names.count("DEQUANTIZE") == 4  # the weights; the runtime folds them when it opens
    assert [name for name in names if name != "DEQUANTIZE"] == [
        *("PAD", "CONV_2D", "PAD", "MAX_POOL_2D", "SLICE", "SLICE", "CONV_2D"),
        *("DEPTHWISE_CONV_2D", "CONCATENATION", "TRANSPOSE", "RESHAPE", "TRANSPOSE", "RESHAPE"),
        *("MEAN", "FULLY_CONNECTED"),
    ]
    assert [(spec.shape, spec.layout) for spec in made.inputs] == [((1, 32, 32, 3), "NHWC")]
    assert [(spec.shape, spec.layout) for spec in made.outputs] == [((1, 10), "")]
    assert made.files == (File.of("model", tmp_path / "model.tflite"),)
    assert_computes(tmp_path / "model.tflite", small, made, tolerance=1e-2)


def test_maps_are_channel_last_at_both_ends_and_vectors_stay(written, two_heads, tmp_path):
    made = written(TfliteWriter(), "tflite", two_heads)
    assert [spec.shape for spec in made.inputs] == [(1, 12, 16, 3), (1, 5)]
    assert [spec.shape for spec in made.outputs] == [(1, 12, 16, 8), (1, 8)]
    assert ops(tmp_path / "model.tflite")[0] == "CONV_2D"  # it reads the image as it comes
    assert_computes(tmp_path / "model.tflite", two_heads, made, tolerance=1e-5)


def test_an_op_that_tflite_lacks_is_named(written, unsayable, tmp_path):
    with pytest.raises(UnsupportedOp, match="i0e"):
        written(TfliteWriter(), "tflite", unsayable, layout="NCHW")
    assert not list(tmp_path.iterdir())
