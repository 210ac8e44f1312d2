"""Graphs that only ONNX Runtime knows. Oracle: ONNX Runtime on the original, opened here."""

import numpy as np
import onnx
import onnxruntime
import pytest

from groundspeed.errors import ExportError, UnsupportedOp
from groundspeed.export.onnx_to_onnx import write_graph

EINSUM = {"equation": "nchw,cd->ndhw"}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a model and returns the new file, and what was said of it."""

    def write(model, *, precision="fp32", layout=None):
        path = tmp_path / "original.onnx"
        onnx.save(model, path)
        made, parity = write_graph(
            path, tmp_path, runtime="onnxruntime", precision=precision, layout=layout
        )
        return tmp_path / "model.onnx", made, parity

    return write


def run(model, x):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("last", "precision", "tolerance"),
    [
        (EINSUM, "fp32", 1e-4),
        ({"op": "Gelu", "given": ["n"], "domain": "com.microsoft"}, "fp32", 1e-4),
        ({"op": "Gelu", "given": ["n"], "domain": "com.microsoft"}, "fp16", 0.05),
    ],
    ids=["an op of ONNX", "an op of ONNX Runtime's own", "in float16"],
)
def test_it_is_folded_and_computes_what_the_original_computes(
    written, graph_of, last, precision, tolerance
):
    model = graph_of(**last)
    path, made, parity = written(model, precision=precision)
    nodes = [node.op_type for node in onnx.load(path).graph.node if node.op_type != "Cast"]
    assert nodes == ["Conv", last.get("op", "Einsum")]
    x = np.random.default_rng(7).standard_normal((1, 3, 16, 16)).astype(np.float32)
    expected = run(model.SerializeToString(), x)
    np.testing.assert_allclose(run(path, x), expected, rtol=tolerance, atol=tolerance)
    assert parity.passed
    assert parity.inputs > 1
    assert "original file" in parity.reference
    assert "1 batch normalization folded" in made.steps[0].notes[0]


def test_a_free_batch_is_fixed_at_both_ends(written, graph_of):
    _, made, _ = written(graph_of(**EINSUM))
    assert [spec.shape for spec in made.inputs] == [(1, 3, 16, 16)]
    assert [spec.shape for spec in made.outputs] == [(1, 8, 16, 16)]


def test_what_could_not_be_folded_stays_and_is_told(written, graph_of):
    model = graph_of(**EINSUM)
    model.graph.node[0].CopyFrom(onnx.helper.make_node("Concat", ["x", "x"], ["c"], axis=1))
    del model.graph.initializer[:1]
    for tensor in model.graph.initializer:
        shape = (6, 8) if tensor.name == "mixing" else (6,)
        values = np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    path, made, parity = written(model)
    assert "BatchNormalization" in [node.op_type for node in onnx.load(path).graph.node]
    assert made.steps[0].notes == (
        "not folded: n comes before last, which cannot take its scale and shift in",
    )
    assert parity.passed


def test_weights_that_old_files_list_as_inputs_become_constants(written, graph_of):
    model = graph_of(**EINSUM)
    model.ir_version = 3
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
    )
    path, made, parity = written(model)
    assert [value.name for value in onnx.load(path).graph.input] == ["x"]
    assert [spec.name for spec in made.inputs] == ["x"]
    assert parity.passed


def test_an_op_that_onnx_runtime_does_not_know_either_is_named(written, graph_of):
    with pytest.raises(UnsupportedOp, match=r"ONNX Runtime cannot run.*nobody\.here:Thing"):
        written(graph_of("Thing", ["n"], domain="nobody.here"))


def test_an_output_whose_size_depends_on_the_data_is_named(written, graph_of):
    model = graph_of("NonZero", ["n"])
    model.graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [4, "found"])
    )
    with pytest.raises(ExportError, match="size of output 'y' depends on the data"):
        written(model)


def test_there_is_no_channels_last(written, graph_of):
    with pytest.raises(ExportError, match="NHWC"):
        written(graph_of(**EINSUM), layout="NHWC")
