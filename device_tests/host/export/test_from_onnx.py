"""ONNX files become networks that compute the same as ONNX Runtime and onnx's own examples."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from groundspeed.errors import SourceError, UnsupportedOp
from groundspeed.export.from_onnx import from_onnx, load_onnx
from groundspeed.export.graph import module_path
from groundspeed.export.trace import trace

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
SMALL = ("squeezenet", "shufflenet", "inception_v2", "bvlc_alexnet")


def run(model, *inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def single(op, shapes, opset, constants=None, outputs=1, **attributes):
    """Return a model of one node; ``constants`` (position -> array) become initializers."""
    constants = constants or {}
    inputs, initializers, names = [], [], []
    count = len(shapes) + len(constants)
    remaining = iter(shapes)
    for place in range(count):
        name = f"in{place}"
        value = constants.get(place, "given")
        names.append("" if value is None else name)
        if isinstance(value, np.ndarray):
            initializers.append(numpy_helper.from_array(value, name))
        elif value is not None:
            inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, next(remaining)))
    results = [f"out{place}" for place in range(outputs)]
    node = helper.make_node(op, names, results, name="the_node", **attributes)
    graph = helper.make_graph(
        [node],
        "graph",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def f32(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


IMAGE = (1, 4, 7, 9)
CASES = [
    single("Conv", [IMAGE], 11, {1: f32(6, 2, 3, 3), 2: f32(6)}, group=2, strides=[2, 1]),
    single("Conv", [IMAGE], 11, {1: f32(6, 4, 3, 3)}, pads=[0, 1, 2, 1]),
    single("Conv", [IMAGE], 11, {1: f32(6, 4, 3, 3)}, auto_pad="SAME_UPPER", strides=[2, 2]),
    single("Conv", [IMAGE], 11, {1: f32(6, 4, 2, 2)}, auto_pad="SAME_LOWER"),
    single("Conv", [(1, 4, 9)], 11, {1: f32(6, 4, 3)}, dilations=[2]),
    single("ConvTranspose", [IMAGE], 11, {1: f32(4, 3, 3, 3), 2: f32(6)}, group=2, strides=[2, 2]),
    single("ConvTranspose", [IMAGE], 11, {1: f32(4, 3, 3, 3)}, pads=[0, 1, 1, 1]),
    single(
        "BatchNormalization",
        [IMAGE],
        9,
        {1: f32(4), 2: f32(4), 3: f32(4), 4: np.abs(f32(4)) + 0.1},
        epsilon=1e-3,
    ),
    single("MaxPool", [IMAGE], 12, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    single("MaxPool", [IMAGE], 12, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    single("AveragePool", [IMAGE], 11, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    single("AveragePool", [IMAGE], 11, kernel_shape=[3, 3], pads=[0, 0, 1, 1]),
    single("AveragePool", [IMAGE], 11, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    single("GlobalAveragePool", [IMAGE], 11),
    single("GlobalMaxPool", [IMAGE], 11),
    single("Gemm", [(2, 4)], 11, {1: f32(4, 5), 2: f32(5)}),
    single("Gemm", [(2, 4)], 11, {1: f32(5, 4), 2: f32(1, 5)}, transB=1, alpha=0.5, beta=2.0),
    single("MatMul", [(2, 3, 4)], 11, {1: f32(4, 5)}),
    single("Clip", [IMAGE], 6, min=-0.5, max=0.5),
    single("Clip", [IMAGE], 13, {1: np.array(0, np.float32), 2: np.array(6, np.float32)}),
    single("Clip", [IMAGE], 13, {1: None, 2: np.array(0.5, np.float32)}),
    single("HardSigmoid", [IMAGE], 11, alpha=0.3),
    single("HardSwish", [IMAGE], 14),
    single("Gelu", [IMAGE], 20),
    single("LRN", [IMAGE], 11, size=3, alpha=0.1),
    single("LRN", [IMAGE], 11, size=5, alpha=0.1, bias=2.0),
    single("Softmax", [IMAGE], 9),
    single("Softmax", [IMAGE], 13),
    single("PRelu", [IMAGE], 11, {1: f32(4, 1, 1)}),
    single("Sum", [IMAGE, IMAGE, IMAGE], 8),
    single("Concat", [IMAGE, IMAGE], 11, axis=1),
    single("Split", [IMAGE], 11, outputs=2, axis=1, split=[1, 3]),
    single("Split", [IMAGE], 13, {1: i64(1, 3)}, outputs=2, axis=1),
    single("Split", [IMAGE], 18, outputs=2, axis=3, num_outputs=2),
    single("Slice", [IMAGE], 9, starts=[1, -3], ends=[3, 1000], axes=[1, 3]),
    single("Slice", [IMAGE], 11, {1: i64(5), 2: i64(0), 3: i64(3), 4: i64(-2)}),
    single("Reshape", [IMAGE], 8, {1: i64(0, -1, 9)}),
    single("Flatten", [IMAGE], 11, axis=2),
    single("Squeeze", [IMAGE], 11, axes=[0]),
    single("Squeeze", [IMAGE], 13, {1: i64(0)}),
    single("Unsqueeze", [IMAGE], 11, axes=[0, 3]),
    single("Unsqueeze", [IMAGE], 13, {1: i64(-1)}),
    single("Transpose", [IMAGE], 11, perm=[0, 2, 3, 1]),
    single("Pad", [IMAGE], 10, pads=[0, 0, 1, 2, 0, 0, 3, 0], value=0.5),
    single("Pad", [IMAGE], 13, {1: i64(0, 0, 1, 2, 0, 0, 3, 0)}, mode="reflect"),
    single("ReduceMean", [IMAGE], 11, axes=[2, 3], keepdims=0),
    single("ReduceMean", [IMAGE], 18, {1: i64(2, 3)}),
    single("ReduceSum", [IMAGE], 13, {1: i64(1)}),
    single("Upsample", [IMAGE], 9, {1: np.array([1, 1, 2, 3], np.float32)}),
    single("Resize", [IMAGE], 13, {1: None, 2: np.array([1, 1, 2, 2], np.float32)}),
    single("Gather", [IMAGE], 11, {1: i64(2, -1)}, axis=1),
    single("Pow", [IMAGE], 13, {1: np.array(2.0, np.float32)}),
    *[single(op, [IMAGE], 13) for op in ("Relu", "Sigmoid", "Tanh", "Erf", "LeakyRelu", "Elu")],
    *[single(op, [IMAGE, IMAGE], 13) for op in ("Add", "Sub", "Mul", "Div", "Max")],
]


def _name(model):
    return f"{model.graph.node[0].op_type}-{model.opset_import[0].version}"


@pytest.mark.parametrize("model", CASES, ids=_name)
def test_each_op_computes_what_onnx_runtime_computes(model):
    network, inputs = from_onnx(model)
    expected = run(model, *(value.numpy() for value in inputs))
    got = network(*inputs)
    for tensor, array in zip(got if isinstance(got, tuple) else (got,), expected, strict=True):
        np.testing.assert_allclose(tensor.detach().numpy(), array, rtol=1e-4, atol=1e-5)
        assert tensor.shape == array.shape


@pytest.mark.parametrize("name", SMALL)
def test_networks_of_the_onnx_package_give_its_expected_outputs(name):
    network, (x,) = load_onnx(LIGHT / f"light_{name}.onnx")
    size = x.numel()
    x = (torch.arange(size, dtype=torch.float32) / size).view(x.shape)
    expected = onnx.load_tensor(LIGHT / f"light_{name}_output_0.pb")
    with torch.no_grad():
        got = network(x).numpy()
    np.testing.assert_allclose(got, numpy_helper.to_array(expected).reshape(got.shape), rtol=1e-3)


def test_shape_arithmetic_of_exporters_is_gone():
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch"], ["batch1"], axes=[0]),
        helper.make_node("Concat", ["batch1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"], name="/head/Reshape"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(0), "zero"), numpy_helper.from_array(i64(-1), "rest")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    network, inputs = from_onnx(model)
    assert network.notes == ("the free batch of input 'x' was fixed to 1",)
    calls = [n for n in trace(network, inputs).graph.nodes if n.op == "call_function"]
    assert [module_path(node) for node in calls] == ["head.Reshape"]
    assert network(*inputs).shape == (1, 8)


def test_weights_stand_under_the_name_of_their_node():
    model = single("Conv", [IMAGE], 11, {1: f32(6, 4, 3, 3), 2: f32(6)})
    model.graph.node[0].name = "/stage1/conv.0/Conv"
    names = set(from_onnx(model)[0].state_dict())
    assert names == {"stage1.conv.0.Conv.weight", "stage1.conv.0.Conv.bias"}


def test_unknown_op_names_op_node_and_opset():
    model = single("Einsum", [(2, 2)], 13, equation="ij->ji")
    with pytest.raises(UnsupportedOp, match=r"Einsum \(node 'the_node', opset 13\)"):
        from_onnx(model)


@pytest.mark.parametrize("content", [b"", b"no model at all", "half"])
def test_damaged_file(tmp_path, content):
    whole = single("Conv", [IMAGE], 11, {1: f32(6, 4, 3, 3)}).SerializeToString()
    path = tmp_path / "network.onnx"
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(SourceError, match=r"network\.onnx"):
        load_onnx(path)


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match="there is no file"):
        load_onnx(tmp_path / "nothing.onnx")


def test_free_height_is_refused():
    model = single("Relu", [(1, 3, "H", 8)], 11)
    with pytest.raises(SourceError, match="axis 2 of input 'in0' has no fixed size"):
        from_onnx(model)
