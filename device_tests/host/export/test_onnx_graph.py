"""A graph that cannot be imported goes to one format, by the way that all networks go."""

import pytest

from groundspeed.artifact import Artifact, Source
from groundspeed.errors import UnsupportedOp
from groundspeed.export.onnx_graph import OnnxGraph
from groundspeed.export.write import write

SOURCE = Source(name="graph", spec="graph.onnx", digest="")
REASON = "ONNX op Einsum (node 'last', opset 17) cannot be imported"


@pytest.fixture
def graph(graph_of):
    return OnnxGraph(graph_of(equation="nchw,cd->ndhw"), REASON)


def test_it_becomes_an_artifact_that_says_what_is_missing_and_why(graph, tmp_path):
    folder = tmp_path / "graph-onnx-fp32"
    write(graph, format="onnx", precision="fp32", folder=folder, ops=(), source=SOURCE)
    manifest = Artifact.open(folder).manifest
    assert manifest.runtime == "onnxruntime"
    assert manifest.parity.passed
    assert [step.name for step in manifest.steps] == ["read_onnx", "fold_batchnorm", "simplify"]
    reading = manifest.steps[0].notes
    assert REASON in reading[0]
    assert "free batch of input 'x' was fixed to 1" in reading[1]


@pytest.mark.parametrize("format", ["tflite", "ncnn"])
def test_other_formats_give_the_reason_and_leave_nothing(graph, tmp_path, format):
    with pytest.raises(UnsupportedOp, match=f"{format} cannot be written.*Einsum"):
        write(
            graph,
            format=format,
            precision="fp32",
            folder=tmp_path / "made",
            ops=(),
            source=SOURCE,
        )
    assert not list(tmp_path.iterdir())


def test_the_digest_tells_weights_apart(graph_of):
    one, same, other = (graph_of(equation="nchw,cd->ndhw") for _ in range(3))
    weight = other.graph.initializer[0]
    weight.raw_data = bytes(4) + weight.raw_data[4:]
    assert OnnxGraph(one, "").digest == OnnxGraph(same, "").digest
    assert OnnxGraph(one, "").digest != OnnxGraph(other, "").digest
