import ctypes.util
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.tools import flatbuffer_utils
from torch import nn

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError, InputError, LaunchError, MissingExtra
from groundspeed.measurement import Options
from groundspeed.runtimes import litert_graph, litert_profiler, on_litert
from groundspeed.runtimes.litert_library import Library
from groundspeed.runtimes.on_litert import LiteRt, LiteRtSession


class Tiny(nn.Module):
    """Has what XNNPACK fuses (ReLU), what it leaves to LiteRT (padded pooling), and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, padding=1)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.classifier = nn.Linear(8 * 8 * 8, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu(self.convolution(image))
        x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
        x = x.transpose(2, 3) + self.pointwise(x)
        return self.classifier(x.flatten(1))


@pytest.fixture(scope="module")
def network() -> Tiny:
    torch.manual_seed(0)
    return Tiny().eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def path(network: Tiny, image: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own, and its libraries'
        import litert_torch

        converted = litert_torch.convert(network, (image,))
    file = tmp_path_factory.mktemp("tflite") / "tiny.tflite"
    converted.export(str(file))
    return file


@pytest.fixture
def session(path: Path) -> LiteRtSession:
    return LiteRt().open({"model": path}, Options())


@pytest.fixture
def feeds(image: torch.Tensor) -> dict[str, Any]:
    return {"args_0": image.numpy()}


def changed(path: Path, target: Path, change: Callable[[Any], None]) -> Path:
    """Write the file again with its input tensor changed."""
    model = flatbuffer_utils.read_model(str(path))
    graph = model.subgraphs[0]
    change(graph.tensors[graph.inputs[0]])
    flatbuffer_utils.write_model(model, str(target))
    return target


def test_outputs_are_those_of_torch(
    session: LiteRtSession, network: Tiny, image: torch.Tensor, feeds: dict[str, Any]
) -> None:
    expected = network(image).detach().numpy()
    np.testing.assert_allclose(session.run(feeds)["output_0"], expected, rtol=1e-4, atol=1e-5)


def test_two_threads_compute_the_same(
    session: LiteRtSession, path: Path, feeds: dict[str, Any]
) -> None:
    two = LiteRt().open({"model": path}, Options(threads=2))
    np.testing.assert_allclose(
        two.run(feeds)["output_0"], session.run(feeds)["output_0"], rtol=1e-4, atol=1e-6
    )


def test_outputs_outlive_the_session_and_the_next_run(
    session: LiteRtSession, feeds: dict[str, Any]
) -> None:
    first = session.run(feeds)["output_0"]
    kept = first.copy()
    session.run({"args_0": feeds["args_0"] + 1})
    session.close()
    np.testing.assert_array_equal(first, kept)


def test_a_bound_call_can_be_repeated(session: LiteRtSession, feeds: dict[str, Any]) -> None:
    call = session.bind(feeds)
    for _ in range(3):
        call()


def test_inputs_are_named_as_in_the_signature_and_take_the_layout_of_the_manifest(
    path: Path,
) -> None:
    known = TensorSpec(name="args_0", shape=(1, 3, 16, 16), dtype="float32", layout="NCHW")
    session = LiteRt().open({"model": path}, Options(), [known])
    assert session.inputs == (known,)
    assert session.outputs == (TensorSpec(name="output_0", shape=(1, 10), dtype="float32"),)


def test_tensors_hold_the_convolution_channels_last(
    session: LiteRtSession, network: Tiny, image: torch.Tensor, feeds: dict[str, Any]
) -> None:
    expected = nn.functional.relu(network.convolution(image)).permute(0, 2, 3, 1).detach().numpy()
    alike = [
        name
        for name, value in session.tensors(feeds)
        if value.shape == expected.shape and np.allclose(value, expected, atol=1e-5)
    ]
    assert len(alike) == 1


def test_the_last_tensor_is_the_output(session: LiteRtSession, feeds: dict[str, Any]) -> None:
    *_, (_, last) = session.tensors(feeds)
    np.testing.assert_allclose(last, session.run(feeds)["output_0"], rtol=1e-4, atol=1e-5)


def test_a_profile_covers_every_operator_that_was_not_fused(
    session: LiteRtSession, path: Path, feeds: dict[str, Any]
) -> None:
    profile = session.profile(feeds, runs=4)
    nodes = litert_graph.nodes(litert_graph.plain_interpreter(path))
    shown = {output for op in profile.ops for output in op.outputs}
    missing = {node.op for node in nodes if not set(node.outputs) & shown}
    # XNNPACK folds the padding of a convolution into it, and a reshape may be no work at all.
    assert missing <= {"PAD", "RESHAPE"}
    assert {"CONV_2D", "MAX_POOL_2D", "TRANSPOSE", "ADD", "FULLY_CONNECTED"} <= {
        op.name.partition(" ")[0] for op in profile.ops
    }


def test_a_profile_has_every_op_in_every_run(session: LiteRtSession, feeds: dict[str, Any]) -> None:
    profile = session.profile(feeds, runs=4)
    assert len(profile.times_ns) == len(profile.ops)
    assert {len(times) for times in profile.times_ns} == {4}
    assert len(profile.plain_ns) == len(profile.profiled_ns) == 4
    assert all(op.outputs or op.inserted for op in profile.ops)
    # What is timed inside a run cannot take longer than the run.
    for run, total_ns in zip(zip(*profile.times_ns, strict=True), profile.profiled_ns, strict=True):
        assert 0 < sum(run) <= total_ns


def test_profiled_outputs_are_names_of_tensors(
    session: LiteRtSession, feeds: dict[str, Any]
) -> None:
    names = {name for name, _ in session.tensors(feeds)}
    for op in session.profile(feeds, runs=1).ops:
        assert set(op.outputs) <= names


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "'args_0' is missing"),
        ({"image": np.zeros((1, 3, 16, 16), np.float32)}, "no input 'image'"),
        ({"args_0": np.zeros((1, 16, 16, 3), np.float32)}, "shape"),
        ({"args_0": np.zeros((1, 3, 16, 16), np.float64)}, "float64"),
    ],
    ids=["missing", "unknown", "shape", "dtype"],
)
def test_inputs_that_do_not_fit(session: LiteRtSession, wrong: dict[str, Any], says: str) -> None:
    for ask in (session.run, session.bind, lambda feeds: list(session.tensors(feeds))):
        with pytest.raises(InputError, match=says):
            ask(wrong)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_that_was_cut_short_is_refused(path: Path, tmp_path: Path, share: float) -> None:
    content = path.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArtifactError, match="export it again"):
        LiteRt().open({"model": cut}, Options())


def test_what_only_the_verifier_minds_is_refused(
    path: Path, feeds: dict[str, Any], tmp_path: Path
) -> None:
    """A name without a zero after it breaks the format, but no engine that trusts the file."""
    interpreter = litert_graph.plain_interpreter(path)
    name = interpreter.get_input_details()[0]["name"].encode()
    content = bytearray(path.read_bytes())
    end = content.index(len(name).to_bytes(4, "little") + name) + 4 + len(name)
    assert content[end] == 0
    content[end] = 1
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(content)
    once, _ = on_litert._Compiled(damaged, 1).bind(feeds)
    once()
    with pytest.raises(ArtifactError, match="not a valid Flatbuffer"):
        LiteRt().open({"model": damaged}, Options())


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(b"no flatbuffer" * 100)
    with pytest.raises(ArtifactError, match="no TFLite file"):
        LiteRt().open({"model": other}, Options())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"gone\.tflite is missing"):
        LiteRt().open({"model": tmp_path / "gone.tflite"}, Options())


def test_an_open_dimension_is_refused(path: Path, tmp_path: Path) -> None:
    def open_batch(tensor: Any) -> None:
        tensor.shapeSignature = [-1, 3, 16, 16]

    with pytest.raises(ArtifactError, match="open dimension"):
        LiteRt().open({"model": changed(path, tmp_path / "open.tflite", open_batch)}, Options())


def test_quantization_of_an_input_is_told(path: Path, tmp_path: Path) -> None:
    def quantize(tensor: Any) -> None:
        tensor.type = 9  # INT8 of the schema's TensorType
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [-3]

    interpreter = litert_graph.plain_interpreter(changed(path, tmp_path / "q.tflite", quantize))
    (spec,) = litert_graph.input_specs(interpreter, ())
    assert (spec.dtype, spec.scale, spec.zero_point) == ("int8", 0.5, -3)


def test_where_only_the_interpreter_exists_it_computes_the_same(
    session: LiteRtSession, path: Path, feeds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_litert, "PACKAGE", "tflite-runtime")
    older = LiteRt().open({"model": path}, Options())
    np.testing.assert_allclose(
        older.run(feeds)["output_0"], session.run(feeds)["output_0"], rtol=1e-4, atol=1e-5
    )
    older.bind(feeds)()
    with pytest.raises(MissingExtra, match="no profiler"):
        older.profile(feeds, runs=1)


def test_without_either_package_the_maintained_one_is_advised() -> None:
    statements = """
import sys
sys.modules["ai_edge_litert"] = sys.modules["tflite_runtime"] = None
from groundspeed.runtimes.catalog import RUNTIMES
RUNTIMES.load("litert")
"""
    process = subprocess.run([sys.executable, "-c", statements], capture_output=True, text=True)
    assert "needs the package 'ai_edge_litert" in process.stderr.splitlines()[-1]


def test_a_library_without_a_profiler_is_named() -> None:
    other = ctypes.util.find_library("m")
    assert other is not None
    with pytest.raises(LaunchError, match="cannot profile"):
        Library(Path(other))


def test_events_that_make_no_sense_are_refused(
    session: LiteRtSession, feeds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert_profiler, "_KNOWN_TYPES", {77})
    with pytest.raises(LaunchError, match="make no sense"):
        session.profile(feeds, runs=1)
