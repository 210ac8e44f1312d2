"""Names in ONNX Runtime's profile, given back to the file's tensors."""

from __future__ import annotations

import pytest

from groundspeed.runtimes.onnx_wire import Node
from groundspeed.runtimes.onnxruntime_trace import Trace, traced_ops

FILE = (
    Node("conv_1", "Conv", ("conv",)),
    Node("relu_1", "Relu", ("relu",)),
    Node("", "QuantizeLinear", ("relu_q",)),
    Node("split_1", "Split", ("left", "right")),
)


@pytest.mark.parametrize(
    ("executed", "kind", "made", "tensors"),
    [
        ("relu_1", "FusedConv", "relu", ("relu",)),
        ("relu_nchwc", "Conv", "reorder_token_5", ("relu",)),
        ("conv_1_token_5", "QLinearConv", "conv_1", ("conv",)),
        ("relu_1/QuickGeluFusion/", "QuickGelu", "reorder_token_1", ("relu",)),
        ("split_1", "Split", "split_1_token_2", ("left", "right")),
        ("ReorderOutput", "ReorderOutput", "relu", ()),
        ("Transpose", "Transpose", "Transpose_out0", ()),
        ("", "QuantizeLinear", "x_q", ()),
    ],
)
def test_an_executed_op_gives_the_tensors_of_the_node_that_it_was(
    executed: str, kind: str, made: str, tensors: tuple[str, ...]
) -> None:
    trace = Trace(kernels=((executed, kind),), times_ns=((1000,),))
    (op,) = traced_ops(trace, [Node(executed, kind, (made,))], FILE)
    assert op.outputs == tensors


def test_nodes_without_names_are_taken_in_order() -> None:
    optimized = [
        Node("conv_1", "Conv", ("conv",), ("x",)),
        Node("", "HardSigmoid", ("inlined",), ("conv",)),
        Node("", "Mul", ("relu",), ("conv", "inlined")),
        Node("", "Mul", ("left",), ("relu", "relu")),
    ]
    kernels = (("conv_1", "Conv"), ("HardSigmoid_7", "HardSigmoid"), ("Mul_8", "Mul"))
    trace = Trace(kernels=(*kernels, ("Mul_9", "Mul"), ("Mul_10", "Mul")), times_ns=((1,),) * 5)
    found = traced_ops(trace, optimized, FILE)
    assert [op.outputs for op in found] == [("conv",), (), ("relu",), ("left",), ()]
    assert [op.reads for op in found] == [(), (0,), (0, 1), (2,), ()]


def test_an_executed_op_reads_those_whose_tensors_the_optimizer_gave_it() -> None:
    optimized = [
        Node("relu_nchwc", "Conv", ("reorder_token_0",), ("x", "weight")),
        Node("ReorderOutput", "ReorderOutput", ("relu",), ("reorder_token_0",)),
        Node("split_1", "Split", ("left", "right"), ("relu",)),
        Node("cat_1", "Concat", ("cat",), ("right", "relu", "left")),
    ]
    kernels = tuple((node.name, node.type) for node in optimized)
    found = traced_ops(Trace(kernels=kernels, times_ns=((1000,),) * 4), optimized, FILE)
    assert [op.reads for op in found] == [(), (0,), (1,), (1, 2)]
