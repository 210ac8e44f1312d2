from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from groundspeed.errors import ArtifactError, InputError
from groundspeed.measurement import Options
from groundspeed.runtimes.on_onnxruntime import OnnxRuntime, OnnxSession

INPUT = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    weights = [(16, 3, 3, 3), (16, 16, 1, 1)]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w0"], ["a"], "first", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["b"], "second"),
            helper.make_node("Conv", ["b", "w1"], ["c"], "third"),
            helper.make_node("ReduceSum", ["c"], ["y"], "fourth", keepdims=0),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        [
            numpy_helper.from_array(generator.standard_normal(shape, np.float32), f"w{index}")
            for index, shape in enumerate(weights)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    onnx.save(model, file)
    return file


@pytest.fixture
def session(path: Path) -> OnnxSession:
    return OnnxRuntime().open({"model": path}, Options())


def test_outputs_are_those_of_the_reference(session: OnnxSession, path: Path) -> None:
    expected = ReferenceEvaluator(str(path)).run(None, {"x": INPUT})
    np.testing.assert_allclose(session.run({"x": INPUT})["y"], expected[0], rtol=1e-4)


def test_every_tensor_of_the_file_is_shown_with_the_reference_values(
    session: OnnxSession, path: Path
) -> None:
    found = dict(session.tensors({"x": INPUT}))
    names = ["a", "b", "c", "y"]
    assert list(found) == names
    nodes = onnx.load(path)
    del nodes.graph.output[:]
    nodes.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    expected = ReferenceEvaluator(nodes).run(names, {"x": INPUT})
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)


def test_a_quantized_tensor_is_shown_as_what_its_integers_stand_for(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Neg", ["x"], ["a"]),
            helper.make_node("QuantizeLinear", ["a", "scale", "zero"], ["a_integers"]),
            helper.make_node("DequantizeLinear", ["a_integers", "scale", "zero"], ["a_real"]),
            helper.make_node("Abs", ["a_real"], ["y"]),
        ],
        "rounded",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [
            numpy_helper.from_array(np.float32(0.5), "scale"),
            numpy_helper.from_array(np.uint8(128), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "rounded.onnx")
    opened = OnnxRuntime().open({"model": tmp_path / "rounded.onnx"}, Options())
    found = dict(opened.tensors({"x": np.array([0.1, 0.4, -1.1, 90], np.float32)}))
    for name in ("a", "a_integers", "a_real"):
        assert found[name].tolist() == [0, -0.5, 1, -64]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_profile_times_every_op_in_every_run_and_names_the_tensors_of_the_file(
    path: Path, threads: int
) -> None:
    session = OnnxRuntime().open({"model": path}, Options(threads=threads))
    profile = session.profile({"x": INPUT}, 7)
    assert len(profile.times_ns) == len(profile.ops)
    assert {len(times) for times in profile.times_ns} == {7}
    assert len(profile.profiled_ns) == len(profile.plain_ns) == 7
    assert min(map(min, profile.times_ns)) >= 0
    assert profile.timing_cost_ns >= 0
    # The first convolution takes the activation in; blocked kernels bring layout conversions.
    assert [op.outputs for op in profile.ops if not op.inserted] == [("b",), ("c",), ("y",)]
    assert all(op.outputs == () for op in profile.ops if op.inserted)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "missing"),
        ({"x": INPUT, "z": INPUT}, "no input 'z'"),
        ({"x": INPUT[:, :2]}, r"\[1, 2, 8, 8\]"),
        ({"x": INPUT.astype(np.float64)}, "float64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    session: OnnxSession, inputs: dict[str, np.ndarray], words: str
) -> None:
    for use in (session.run, session.bind):
        with pytest.raises(InputError, match=words):
            use(inputs)


@pytest.mark.parametrize("keep", [0, 1, 50, 500])
def test_a_file_cut_short_is_refused(path: Path, tmp_path: Path, keep: int) -> None:
    damaged = tmp_path / "cut.onnx"
    damaged.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match="export it again"):
        OnnxRuntime().open({"model": damaged}, Options())


def test_what_is_missing_or_no_onnx_file_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("this is a letter")
    for files in ({"model": tmp_path / "none.onnx"}, {"model": text}, {}):
        with pytest.raises(ArtifactError):
            OnnxRuntime().open(files, Options())
