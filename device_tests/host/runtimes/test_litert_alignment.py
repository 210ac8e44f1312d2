from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measurement import ProfiledOp
from groundspeed.runtimes.litert_alignment import Executed, align, fits
from groundspeed.runtimes.litert_graph import Node

# Operator of the file -> what XNNPACK of LiteRT 2.3 called it in a run.
SEEN = {
    "ADD": "Add (ND)",
    "AVERAGE_POOL_2D": "Average Pooling (NHWC, F32) Average Pooling",
    "BATCH_MATMUL": "Batch Matrix Multiply (NC, F32) GEMM",
    "CONCATENATION": "Copy (NC, X32)",
    "CONV_2D": "Convolution (NHWC, F32) IGEMM",
    "DEPTHWISE_CONV_2D": "Convolution (NHWC, F32) DWConv",
    "DIV": "Divide (ND)",
    "EXP": "Exp (NC)",
    "FULLY_CONNECTED": "Fully Connected (NC, F32) GEMM",
    "GELU": "GELU (NC)",
    "HARD_SWISH": "HardSwish (NC)",
    "LEAKY_RELU": "LeakyReLU (NC)",
    "LOGISTIC": "Sigmoid (NC)",
    "MAX_POOL_2D": "Max Pooling (NHWC, F32)",
    "MEAN": "Mean (ND) Reduce2",
    "MUL": "Multiply (ND)",
    "RELU6": "Clamp (NC)",
    "RESHAPE": "Static Reshape (NC)",
    "RESIZE_BILINEAR": "Resize Bilinear (NHWC)",
    "RSQRT": "Reciprocal Square Root (NC)",
    "SLICE": "Slice (ND, X32)",
    "SOFTMAX": "Softmax (NC, F32)",
    "SQUARED_DIFFERENCE": "Squared Difference (ND)",
    "SUB": "Subtract (ND)",
    "TANH": "TanH (NC)",
    "TRANSPOSE": "Transpose (ND, X32) Transpose",
    "TRANSPOSE_CONV": "Deconvolution (NHWC, F32) Subconv2D",
}


def chain(*ops: str) -> list[Node]:
    """Operators that each read what the one before computes."""
    return [
        Node(op=op, inputs=(f"t{index}",), outputs=(f"t{index + 1}",))
        for index, op in enumerate(ops)
    ]


def ran(*names: str) -> list[Executed]:
    return [Executed(name=name) for name in names]


def outputs(ops: tuple[ProfiledOp, ...]) -> list[tuple[str, ...]]:
    return [op.outputs for op in ops]


@pytest.mark.parametrize(("op", "event"), SEEN.items())
def test_names_that_were_seen_fit(op: str, event: str) -> None:
    assert fits(op, event)


def test_a_square_root_is_no_square() -> None:
    assert fits("MUL", "Square (NC)")
    assert not fits("MUL", "Square Root (NC)")


def test_padding_that_a_convolution_took_over_leaves_no_entry() -> None:
    found = align(chain("PAD", "CONV_2D", "ADD"), ran(SEEN["CONV_2D"], SEEN["ADD"]))
    assert outputs(found) == [("t2",), ("t3",)]
    assert [op.name for op in found] == ["CONV_2D 1", "ADD 2"]


def test_an_activation_that_was_fused_is_the_output_of_what_took_it() -> None:
    found = align(chain("CONV_2D", "RELU", "CONV_2D"), ran(SEEN["CONV_2D"], SEEN["CONV_2D"]))
    assert outputs(found) == [("t2",), ("t3",)]


def test_a_clamp_stands_for_both_its_bounds() -> None:
    nodes = chain("RESHAPE", "MAXIMUM", "MINIMUM", "ADD")
    found = align(nodes, ran(SEEN["RESHAPE"], "Clamp (NC)", SEEN["ADD"]))
    assert outputs(found) == [("t1",), ("t3",), ("t4",)]


def test_a_sigmoid_and_a_product_in_one_event_without_a_name_give_the_product() -> None:
    nodes = [
        Node(op="CONV_2D", inputs=("x",), outputs=("a",)),
        Node(op="LOGISTIC", inputs=("a",), outputs=("b",)),
        Node(op="MUL", inputs=("a", "b"), outputs=("c",)),
        Node(op="ADD", inputs=("a", "c"), outputs=("d",)),
    ]
    found = align(nodes, ran(SEEN["CONV_2D"], "Invalid Unary Op", SEEN["ADD"]))
    assert outputs(found) == [("a",), ("c",), ("d",)]
    assert [op.reads for op in found] == [(), (0,), (0, 1)]


def test_an_activation_of_another_branch_is_not_the_output() -> None:
    nodes = [*chain("CONV_2D"), Node(op="RELU", inputs=("elsewhere",), outputs=("other",))]
    assert outputs(align(nodes, ran(SEEN["CONV_2D"]))) == [("t1",)]


def test_one_operator_may_be_executed_in_two_parts() -> None:
    found = align(chain("MUL", "SUB"), ran(SEEN["MUL"], "Clamp (NC)", SEEN["SUB"]))
    assert outputs(found) == [("t1",), ("t1",), ("t2",)]


def test_a_kernel_of_litert_is_tied_by_its_index_even_out_of_order() -> None:
    executed = [*ran(SEEN["EXP"], SEEN["ADD"]), Executed(name="ARG_MAX", node=1)]
    found = align(chain("EXP", "ARG_MAX", "ADD"), executed)
    assert outputs(found) == [("t1",), ("t3",), ("t2",)]


def test_what_nothing_fits_is_inserted_and_the_rest_is_still_tied() -> None:
    found = align(chain("CONV_2D", "ADD"), ran("Pack Lh", SEEN["CONV_2D"], SEEN["ADD"]))
    assert [op.inserted for op in found] == [True, False, False]
    assert outputs(found) == [(), ("t1",), ("t2",)]


def test_stages_of_a_run_belong_to_no_operator() -> None:
    executed = [Executed(name="LiteRT::Run[Buffer sync]", stage=True), *ran(SEEN["ADD"])]
    found = align(chain("ADD"), executed)
    assert [op.inserted for op in found] == [op.stage for op in found] == [True, False]


def test_an_event_reads_what_the_events_of_its_sources_computed() -> None:
    nodes = [
        Node(op="CONV_2D", inputs=("x", "w"), outputs=("a",)),
        Node(op="RESHAPE", inputs=("a",), outputs=("b",)),  # leaves no event
        Node(op="LOGISTIC", inputs=("b",), outputs=("c",)),
        Node(op="MUL", inputs=("b", "c"), outputs=("d",)),
    ]
    found = align(nodes, ran("Unheard Of", SEEN["CONV_2D"], SEEN["LOGISTIC"], SEEN["MUL"]))
    assert [op.reads for op in found] == [(), (), (1,), (1, 2)]


def test_the_second_part_of_an_operator_reads_the_first() -> None:
    found = align(chain("ADD", "MUL", "SUB"), ran("Add", SEEN["MUL"], "Clamp (NC)", SEEN["SUB"]))
    assert [op.reads for op in found] == [(), (0,), (1,), (2,)]


@given(st.lists(st.sampled_from(sorted(SEEN)), max_size=12), st.data())
def test_whatever_is_lost_or_added_order_is_kept_and_every_event_has_its_entry(
    ops: list[str], data: st.DataObject
) -> None:
    lost = data.draw(st.sets(st.integers(0, max(len(ops) - 1, 0))))
    events = [SEEN[op] for index, op in enumerate(ops) if index not in lost]
    events.insert(data.draw(st.integers(0, len(events))), "Unheard Of (NC)")
    found = align(chain(*ops), ran(*events))
    assert [op.type for op in found] == events
    owners = [int(op.name.rpartition(" ")[2]) for op in found if not op.inserted]
    assert all(first <= second for first, second in pairwise(owners))
    for op in found:
        second = op.type in ("Clamp (NC)", "Copy (NC, X32)")
        assert op.inserted or second or fits(op.name.partition(" ")[0], op.type)


@given(st.lists(st.sampled_from(sorted(SEEN)), max_size=12))
def test_operators_that_all_left_an_event_are_all_tied_to_their_own(ops: list[str]) -> None:
    found = align(chain(*ops), ran(*(SEEN[op] for op in ops)))
    assert outputs(found) == [(f"t{index + 1}",) for index in range(len(ops))]
