import contextlib

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.runtimes import onnx_wire


@given(st.integers(1, 300))
def test_a_chain_is_a_valid_model_whose_nodes_are_read_back(length: int) -> None:
    model = onnx_wire.chain("Neg", length)
    parsed = onnx.load_from_string(model)
    onnx.checker.check_model(parsed)
    assert [tuple(node.output) for node in parsed.graph.node] == [
        node.outputs for node in onnx_wire.nodes(model)
    ]


@given(st.lists(st.text(min_size=1, max_size=200), max_size=5))
def test_appended_outputs_are_merged_into_the_graph(names: list[str]) -> None:
    model = onnx_wire.with_outputs(onnx_wire.chain("Neg", 2), names)
    parsed = onnx.load_from_string(model)
    assert [value.name for value in parsed.graph.output] == ["2", *names]
    assert onnx_wire.graph_outputs(model) == ("2", *names)
    assert len(parsed.graph.node) == 2


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(onnx_wire.nodes(content), tuple)


def test_a_file_cut_short_is_refused() -> None:
    model = onnx_wire.chain("Neg", 2)
    with pytest.raises(ValueError, match="reaches beyond the end"):
        onnx_wire.nodes(model[:-3])
