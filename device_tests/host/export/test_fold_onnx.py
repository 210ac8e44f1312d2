"""Folding an ONNX graph changes nothing that ONNX Runtime computes."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from groundspeed.export.fold_onnx import fold_onnx

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def run(model, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {session.get_inputs()[0].name: x})


def network(nodes, weights, shape, outputs=("y",)):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * len(shape))
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def normalization(random, channels, prefix="bn"):
    values = random.standard_normal((4, channels)).astype(np.float32)
    values[3] = np.abs(values[3]) + 0.5
    return {f"{prefix}{place}": value for place, value in enumerate(values)}


def types(model):
    return [node.op_type for node in model.graph.node]


def assert_same(model, folded, shape):
    onnx.checker.check_model(folded)
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    for got, expected in zip(run(folded, x), run(model, x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    groups=st.integers(1, 3),
    wide=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
    op=st.sampled_from(["Conv", "ConvTranspose"]),
    seed=st.integers(0, 1000),
)
def test_normalization_behind_a_convolution(groups, wide, bias, op, seed):
    random = np.random.default_rng(seed)
    inputs, outputs = groups * wide[0], groups * wide[1]
    size = (outputs, wide[0], 3, 3) if op == "Conv" else (inputs, wide[1], 3, 3)
    weights = {"w": random.standard_normal(size).astype(np.float32)}
    weights |= normalization(random, outputs)
    if bias:
        weights["b"] = random.standard_normal(outputs).astype(np.float32)
    nodes = [
        helper.make_node(op, ["x", "w", *(["b"] if bias else [])], ["c"], group=groups),
        helper.make_node("BatchNormalization", ["c", "bn0", "bn1", "bn2", "bn3"], ["y"]),
    ]
    model = network(nodes, weights, (1, inputs, 5, 5))
    folded, report = fold_onnx(model)
    assert (report.count, report.kept, types(folded)) == (1, (), [op])
    assert_same(model, folded, (1, inputs, 5, 5))


@pytest.mark.parametrize(("padding", "count"), [(0, 1), (1, 0)])
def test_normalization_before_a_convolution_only_without_padding(padding, count):
    random = np.random.default_rng(0)
    weights = {"w": random.standard_normal((4, 3, 3, 3)).astype(np.float32)}
    weights |= normalization(random, 3)
    nodes = [
        helper.make_node("BatchNormalization", ["x", "bn0", "bn1", "bn2", "bn3"], ["n"], name="bn"),
        helper.make_node("Conv", ["n", "w"], ["y"], pads=[padding] * 4),
    ]
    model = network(nodes, weights, (1, 3, 5, 5))
    folded, report = fold_onnx(model)
    assert report.count == count
    assert [kept.module for kept in report.kept] == ["bn"] * (1 - count)
    assert_same(model, folded, (1, 3, 5, 5))


def test_shared_weight_and_second_reader():
    random = np.random.default_rng(0)
    weights = {"w": random.standard_normal((3, 3, 1, 1)).astype(np.float32)}
    weights |= normalization(random, 3) | normalization(random, 3, "other")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("BatchNormalization", ["a", "bn0", "bn1", "bn2", "bn3"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["c"]),
        helper.make_node(
            "BatchNormalization", ["c", "other0", "other1", "other2", "other3"], ["d"]
        ),
        helper.make_node("Add", ["c", "d"], ["y"]),
    ]
    model = network(nodes, weights, (1, 3, 4, 4))
    folded, report = fold_onnx(model)
    assert report.count == 1
    assert "also read unnormalized" in report.kept[0].reason
    assert_same(model, folded, (1, 3, 4, 4))


def test_linear_layer():
    random = np.random.default_rng(0)
    weights = {"w": random.standard_normal((4, 5)).astype(np.float32)} | normalization(random, 5)
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["g"], alpha=0.5),
        helper.make_node("BatchNormalization", ["g", "bn0", "bn1", "bn2", "bn3"], ["y"]),
    ]
    model = network(nodes, weights, (2, 4))
    folded, report = fold_onnx(model)
    assert (report.count, types(folded)) == (1, ["Gemm"])
    assert_same(model, folded, (2, 4))


def test_network_of_the_onnx_package():
    model = onnx.load(LIGHT / "light_shufflenet.onnx")
    folded, report = fold_onnx(model)
    assert (report.count, report.kept) == (49, ())
    assert "BatchNormalization" not in types(folded)
    onnx.checker.check_model(folded)
