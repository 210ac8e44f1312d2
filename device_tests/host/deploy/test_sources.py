"""Whatever way a user names a network, it is loaded, or one sentence says why not."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from groundspeed.artifact import Artifact
from groundspeed.deploy import inspecting, sources
from groundspeed.deploy.exporting import Exporter, ExportFailure, export_all
from groundspeed.errors import InputError, SourceError, UnknownName, UnsupportedOp
from groundspeed.export.onnx_graph import OnnxGraph

USER_FILE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))

def with_inputs(width=4):
    return Net(width), (torch.ones(1, 3, 9, 9),)

def broken():
    return undefined_name

def not_a_network():
    return 7

answer = 42
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_net.py"
    path.write_text(USER_FILE)
    return path


def test_a_network_of_the_zoo() -> None:
    network = sources.load("squeezenet1_1", input_shapes=[(1, 3, 64, 64)])
    assert network.name == "squeezenet1_1"
    assert network.inputs[0].shape == (1, 3, 64, 64)


def test_the_options_of_a_network_of_the_zoo() -> None:
    paper = sources.load("shufflenet_v2_x0_5:num_classes=7")
    assert isinstance(paper.module, nn.Module)
    assert paper.module(paper.inputs[0]).shape == (1, 7)


def test_a_class_in_a_file_with_arguments(user_file: Path) -> None:
    network = sources.load(f"{user_file}:Net:width=6", input_shapes=[(2, 3, 8, 8)])
    assert isinstance(network.module, nn.Module)
    assert network.module(*network.inputs).shape == (2, 6)


def test_two_sizes_of_a_callable_can_be_told_apart(user_file: Path) -> None:
    names = [sources.load(f"{user_file}:Net{size}").name for size in ("", ":width=6", ":width=8")]
    assert names == ["Net", "Net_width_6", "Net_width_8"]


def test_a_callable_may_bring_its_inputs(user_file: Path) -> None:
    network = sources.load(f"{user_file}:with_inputs")
    assert torch.equal(network.inputs[0], torch.ones(1, 3, 9, 9))


def test_a_callable_in_a_package() -> None:
    network = sources.load("torch.nn:Conv2d:in_channels=3,out_channels=2,kernel_size=1")
    assert isinstance(network.module, nn.Conv2d)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator_alone(
    user_file: Path,
) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = sources.load(f"{user_file}:Net")
    second = sources.load(f"{user_file}:Net")
    assert isinstance(first.module, nn.Module)
    assert isinstance(second.module, nn.Module)
    assert torch.equal(first.module.conv.weight, second.module.conv.weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_saved_program(tmp_path: Path) -> None:
    path = tmp_path / "saved.pt2"
    program = torch.export.export(nn.Conv2d(3, 2, 1), (torch.ones(1, 3, 5, 5),))
    torch.export.save(program, path)
    network = sources.load(str(path))
    assert network.inputs[0].shape == (1, 3, 5, 5)


def test_weights_are_loaded(user_file: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save({"conv.weight": torch.ones(4, 3, 3, 3), "conv.bias": torch.zeros(4)}, weights)
    network = sources.load(f"{user_file}:Net", weights=weights)
    assert isinstance(network.module, nn.Module)
    assert network.module.conv.weight.unique().item() == 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("no/such/file.py:build", "there is no file no/such/file.py"),
        ("no_such_package:build", "no module 'no_such_package'"),
        ("missing.onnx", r"missing\.onnx"),
        ("missing.pt2", r"missing\.pt2"),
        ("README.md", "neither a network of the zoo nor a file"),
        ("torch.nn:Nothing", "no callable 'Nothing'"),
        ("torch.nn:Conv2d:in_channels", "no callable|no module"),
        ("torch.nn:Conv2d:in_channels=3,7", "'7' in .* is no argument"),
        ("torch.nn:Conv2d:no_such=3", "failed at .*no_such"),
    ],
)
def test_what_is_no_network_gets_a_sentence(spec: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        sources.load(spec)


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("broken", r"my_net\.py:\d+: NameError"),
        ("not_a_network", "returned int"),
        ("answer", "no callable 'answer'"),
    ],
)
def test_a_fault_in_the_users_file_is_placed(user_file: Path, attribute: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        sources.load(f"{user_file}:{attribute}")


def test_a_file_with_a_syntax_error_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("def build(:\n")
    with pytest.raises(SourceError, match="SyntaxError"):
        sources.load(f"{path}:build")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="mobilenet_v2"):
        sources.load("mobilnet_v2")


@pytest.mark.parametrize("name", ["cut.pt2", "cut.onnx"])
@pytest.mark.parametrize(
    "content",
    [b"", b"not a model at all", b"PK\x03\x04" + bytes(64)],
    ids=["empty", "text", "half a zip"],
)
def test_a_damaged_file_gets_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=name):
        sources.load(str(path))


def test_a_files_input_shape_cannot_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "saved.pt2"
    program = torch.export.export(nn.Conv2d(3, 2, 1), (torch.ones(1, 3, 5, 5),))
    torch.export.save(program, path)
    with pytest.raises((SourceError, InputError), match="1x3x5x5"):
        sources.load(str(path), input_shapes=[(1, 3, 6, 6)])


def test_the_users_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_net.py").write_text("WIDTH = 5\n")
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\nfrom neighbour_of_net import WIDTH\n"
        "def build():\n    return nn.Conv2d(3, WIDTH, 1)\n"
    )
    network = sources.load(f"{path}:build")
    assert isinstance(network.module, nn.Conv2d)
    assert "neighbour_of_net" in sys.modules


@pytest.fixture
def graph_file(tmp_path: Path) -> str:
    """A file with an op that only ONNX Runtime knows."""
    graph = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], "curve", domain="com.microsoft")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 6])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "curve.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return str(path)


def test_an_onnx_file_with_an_op_that_torch_does_not_know_stays_a_graph(graph_file: str) -> None:
    network = sources.load(graph_file)
    assert isinstance(network.module, OnnxGraph)
    assert network.inputs[0].shape == (1, 6)
    with pytest.raises(UnsupportedOp, match=r"com\.microsoft\.Gelu \(node 'curve'") as error:
        inspecting.inspect(network)
    assert error.value.exit_code == 1


def test_a_graph_is_exported_for_onnx_runtime_and_other_formats_give_the_reason(
    graph_file: str, tmp_path: Path
) -> None:
    exporter = Exporter(sources.load(graph_file), tmp_path / "artifacts")
    onnx_file, tflite, ncnn = export_all(exporter, ["onnx", "tflite", "ncnn"], ["fp32"])
    assert isinstance(onnx_file, Artifact)
    assert onnx_file.manifest.source == exporter.source
    assert (onnx_file.manifest.ops, onnx_file.manifest.tensors) == ((), {})
    for failure in (tflite, ncnn):
        assert isinstance(failure, ExportFailure)
        assert "com.microsoft.Gelu" in failure.reason
