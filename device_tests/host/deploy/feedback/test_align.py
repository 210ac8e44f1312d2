"""Hand-made networks and profiles, where the right answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.host.deploy.feedback.by_hand import Reads, op, profiled
from groundspeed.deploy.feedback.align import Attribution, attribute, common_module
from groundspeed.deploy.feedback.breakdown import break_down
from groundspeed.deploy.vocabulary import WITH_MACS
from groundspeed.ops import Op, OpKind

KIND = OpKind
WORDS = ("Conv", "Add", "Sigmoid", "Transpose", "QuantizeLinear", "MeanPool", "Frobnicate")


def join(
    ops: list[Op],
    tensors: dict[str, str],
    executed: list[tuple[str, str]],
    inserted: str | None = None,
    reads: Reads | None = None,
) -> Attribution:
    return attribute(*profiled(ops, tensors, executed, inserted=inserted, reads=reads))


def covered(attribution: Attribution) -> list[list[str]]:
    return [[op.name for op in one.covers] for one in attribution.ops]


def test_a_fused_activation_belongs_to_its_convolution() -> None:
    ops = [op("conv", KIND.POINTWISE, "a.conv", macs=100), op("relu", KIND.ACTIVATION, "a.act")]
    (fused,) = join(ops, {"y": "relu"}, [("FusedConv", "y")]).ops
    assert [one.name for one in fused.covers] == ["conv", "relu"]
    assert (fused.kind, fused.module, fused.macs) == (KIND.POINTWISE, "a.conv", 100)
    assert fused.memory_bytes == 64
    assert not fused.inserted


def test_a_fused_residual_goes_around_the_branch_that_was_written_in_between() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "block.conv", macs=100),
        op("down", KIND.POINTWISE, "block.down", macs=10),
        op("add", KIND.ELEMENTWISE, "block", inputs=("conv", "down")),
        op("relu", KIND.ACTIVATION, "block.relu", inputs=("add",)),
    ]
    executed = [("Conv", "d"), ("FusedConv", "y")]
    attribution = join(ops, {"d": "down", "y": "relu"}, executed, reads=[(), (0,)])
    assert covered(attribution) == [["down"], ["conv", "add", "relu"]]
    assert [one.macs for one in attribution.ops] == [10, 100]


def test_a_fused_op_that_kept_the_name_of_its_convolution_covers_what_follows_it() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "one", macs=100),
        op("hardswish", KIND.ACTIVATION, "one.act"),
        op("conv_1", KIND.POINTWISE, "two", macs=10),
        op("add", KIND.ELEMENTWISE, "two"),
        op("mean", KIND.REDUCTION, "pool"),
    ]
    tensors = {"a": "conv", "b": "conv_1", "c": "mean"}
    attribution = join(ops, tensors, [("Conv", "a"), ("Conv", "b"), ("ReduceMean", "c")])
    assert covered(attribution) == [["conv", "hardswish"], ["conv_1", "add"], ["mean"]]


def test_padding_before_a_convolution_is_charged_to_it() -> None:
    ops = [op("pad", KIND.DATA_MOVEMENT), op("conv", KIND.DEPTHWISE, "dw", macs=9)]
    (one,) = join(ops, {"y": "conv"}, [("Convolution (NHWC, F32) DWConv", "y")]).ops
    assert (len(one.covers), one.kind, one.module) == (2, KIND.DEPTHWISE, "dw")


def test_a_layout_conversion_with_the_values_of_a_convolution_is_not_the_convolution() -> None:
    ops = [op("conv", KIND.CONVOLUTION, "stem", macs=100), op("mean", KIND.REDUCTION, "pool")]
    executed = [("Conv", "y"), ("ReorderOutput", "y_nchw"), ("ReduceMean", "z")]
    attribution = join(ops, {"y": "conv", "y_nchw": "conv", "z": "mean"}, executed)
    assert covered(attribution) == [["conv"], [], ["mean"]]
    reorder = attribution.ops[1]
    assert (reorder.kind, reorder.inserted, reorder.macs) == (KIND.DATA_MOVEMENT, True, 0)
    assert reorder.module == "stem"


def test_moving_data_because_the_network_asks_for_it_is_not_inserted() -> None:
    ops = [
        op("view", KIND.DATA_MOVEMENT, "shuffle"),
        op("permute", KIND.DATA_MOVEMENT, "shuffle"),
        op("view_1", KIND.DATA_MOVEMENT, "shuffle"),
    ]
    (one,) = join(ops, {"y": "view_1"}, [("ShuffleChannel", "y")]).ops
    assert ([c.name for c in one.covers], one.inserted) == (["view", "permute", "view_1"], False)


def test_an_untied_op_is_placed_between_its_neighbours() -> None:
    ops = [
        op("one", KIND.CONVOLUTION, "stage.0.conv", macs=1),
        op("two", KIND.CONVOLUTION, "stage.1.conv", macs=1),
    ]
    executed = [("Conv", "a"), ("Transpose", "?"), ("Conv", "b")]
    middle = join(ops, {"a": "one", "b": "two"}, executed, inserted="?").ops[1]
    assert (middle.module, middle.inserted, middle.covers) == ("stage", True, ())


def test_without_any_tie_the_engine_word_names_the_kind() -> None:
    ops = [op("conv", KIND.POINTWISE, "a", macs=5)]
    attribution = join(ops, {}, [("ConvolutionDepthWise", "y"), ("Frobnicate", "z")])
    assert [one.kind for one in attribution.ops] == [KIND.DEPTHWISE, KIND.OTHER]
    assert [one.name for one in attribution.uncharged] == ["conv"]


def test_ops_at_the_end_that_vanished_go_to_the_last_executed_one() -> None:
    ops = [op("fc", KIND.LINEAR, "fc", macs=5), op("view", KIND.DATA_MOVEMENT)]
    assert covered(join(ops, {"y": "fc"}, [("Gemm", "y")])) == [["fc", "view"]]


def test_an_activation_in_two_ops_is_charged_for_both_and_counted_once() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "stem.0", macs=100),
        op("silu", KIND.ACTIVATION, "stem.1", inputs=("conv",)),
    ]
    executed = [("Convolution", "c"), ("Sigmoid (NC)", "?"), ("Multiply (ND)", "s")]
    attribution = join(ops, {"c": "conv", "s": "silu"}, executed, reads=[(), (0,), (0, 1)])
    assert covered(attribution) == [["conv"], ["silu"], ["silu"]]
    assert [one.part for one in attribution.ops] == [False, True, False]
    assert [one.flops for one in attribution.ops] == [200, 0, 8]
    assert [one.kind for one in attribution.ops] == [KIND.CONVOLUTION] + 2 * [KIND.ACTIVATION]


def test_an_activation_whose_name_was_lost_is_not_charged_to_the_convolution() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "0", macs=100),
        op("silu", KIND.ACTIVATION, "1", inputs=("conv",)),
        op("conv_1", KIND.CONVOLUTION, "2", macs=100, inputs=("silu",)),
    ]
    executed = [("Conv", "a"), ("QuickGelu", "?"), ("Conv", "b")]
    attribution = join(ops, {"a": "conv", "b": "conv_1"}, executed, reads=[(), (0,), (1,)])
    assert covered(attribution) == [["conv"], ["silu"], ["conv_1"]]
    assert [one.by_value for one in attribution.ops] == [True, False, True]


def test_an_addition_with_a_fused_activation_is_no_part_of_the_convolution_before() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "block.conv", macs=100),
        op("conv_1", KIND.CONVOLUTION, "block.conv", macs=100, inputs=("conv",)),
        op("add", KIND.ELEMENTWISE, "block", inputs=("conv", "conv_1")),
        op("relu", KIND.ACTIVATION, "block.relu", inputs=("add",)),
    ]
    executed = [("Convolution", "a"), ("Convolution", "b"), ("Add (ND)", "r")]
    tensors = {"a": "conv", "b": "conv_1", "r": "relu"}
    attribution = join(ops, tensors, executed, reads=[(), (0,), (0, 1)])
    assert covered(attribution) == [["conv"], ["conv_1"], ["add", "relu"]]


def test_an_activation_in_two_ops_without_any_known_value_is_not_the_next_convolution() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, macs=100),
        op("hardswish", KIND.ACTIVATION, inputs=("conv",)),
        op("conv_1", KIND.CONVOLUTION, macs=100, inputs=("hardswish",)),
    ]
    executed = [("QLinearConv", "a"), ("HardSigmoid", ""), ("Mul", ""), ("QLinearConv", "b")]
    tensors = {"a": "conv", "b": "conv_1"}
    attribution = join(ops, tensors, executed, reads=[(), (0,), (0, 1), (2,)])
    assert covered(attribution) == [["conv"], ["hardswish"], ["hardswish"], ["conv_1"]]
    assert [one.part for one in attribution.ops] == [False, False, True, False]


def test_what_prepares_values_for_a_fused_layer_is_a_part_of_the_layer() -> None:
    ops = [
        op("pool", KIND.POOLING, "pool"),
        op("conv", KIND.CONVOLUTION, "conv", macs=100, inputs=("pool",)),
        op("relu", KIND.ACTIVATION, "act", inputs=("conv",)),
    ]
    executed = [("Pooling", "p"), ("BinaryOp", "p_mirrored"), ("Convolution", "r")]
    found = join(ops, {"p": "pool", "r": "relu"}, executed, reads=[(), (0,), (1,)]).ops
    assert [[one.name for one in row.covers] for row in found] == [
        *(["pool"], ["conv"], ["conv", "relu"])
    ]
    assert [one.macs for one in found] == [0, 0, 100]


def test_what_multiplies_bears_the_arithmetic_and_not_what_scales_its_result() -> None:
    ops = [op("conv", KIND.CONVOLUTION, "stem", macs=100)]
    executed = [
        *(("DynamicQuantizeLinear", ""), ("ConvInteger", ""), ("Cast", ""), ("Mul", "c")),
    ]
    found = join(ops, {"c": "conv"}, executed, reads=[(), (0,), (1,), (2,)]).ops
    assert [one.macs for one in found] == [0, 100, 0, 0]
    assert [one.part for one in found] == [False, False, False, True]
    assert [one.kind for one in found] == [
        *(KIND.QUANTIZE, KIND.CONVOLUTION, KIND.DATA_MOVEMENT, KIND.CONVOLUTION)
    ]
    assert {one.module for one in found} == {"stem"}


def test_an_addition_and_its_activation_in_two_events_are_two_ops() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "conv", macs=100),
        op("add", KIND.ELEMENTWISE, "", inputs=("conv",)),
        op("relu", KIND.ACTIVATION, "relu", inputs=("add",)),
    ]
    executed = [("Convolution", "c"), ("Add (ND)", "r"), ("Clamp (NC)", "r")]
    tensors = {"c": "conv", "r": "relu"}
    attribution = join(ops, tensors, executed, reads=[(), (0,), (1,)])
    assert covered(attribution) == [["conv"], ["add"], ["relu"]]
    assert not any(one.part for one in attribution.ops)


def test_an_op_takes_only_what_stands_between_its_values_and_those_known_before() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, macs=100),
        op("silu", KIND.ACTIVATION, inputs=("conv",)),
        op("conv_1", KIND.CONVOLUTION, macs=100, inputs=("silu",)),
        op("add", KIND.ELEMENTWISE, inputs=("silu", "conv_1")),
    ]
    executed = [("Conv", "a"), ("Mystery", "?"), ("Conv", "b"), ("Add", "c"), ("Clamp", "??")]
    tensors = {"a": "conv", "b": "conv_1", "c": "add"}
    reads = [(), (0,), (1,), (1, 2), (3,)]
    assert covered(join(ops, tensors, executed, reads=reads)) == [
        *(["conv"], ["silu"], ["conv_1"], ["add"], [])
    ]


def test_an_activation_fused_into_a_convolution_is_not_charged_to_the_split_after_it() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "a", macs=100),
        op("relu", KIND.ACTIVATION, "a", inputs=("conv",)),
        op("chunk", KIND.DATA_MOVEMENT, inputs=("relu",), costs=0),
        op("left", KIND.DATA_MOVEMENT, inputs=("chunk",)),
    ]
    executed = [("QLinearConv", "c"), ("Split", "l")]
    attribution = join(ops, {"c": "conv", "l": "left"}, executed, reads=[(), (0,)])
    assert covered(attribution) == [["conv", "relu"], ["left"]]
    assert [one.name for one in attribution.vanished] == ["chunk"]


def test_a_pooling_in_two_ops_is_charged_for_both() -> None:
    ops = [
        op("relu", KIND.ACTIVATION, "last"),
        op("pool", KIND.POOLING, "pool", inputs=("relu",)),
        op("fc", KIND.LINEAR, "fc", macs=10, inputs=("pool",)),
    ]
    executed = [("Clamp", "r"), ("Sum (ND)", "?"), ("Multiply (ND)", "p"), ("FullyConnected", "f")]
    tensors = {"r": "relu", "p": "pool", "f": "fc"}
    attribution = join(ops, tensors, executed, reads=[(), (0,), (1,), (2,)])
    assert covered(attribution) == [["relu"], ["pool"], ["pool"], ["fc"]]
    assert [one.module for one in attribution.ops] == ["last", "pool", "pool", "fc"]


def test_a_reorder_without_a_name_is_charged_to_the_value_that_it_moves() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "stem.conv", macs=100),
        op("fc", KIND.LINEAR, "head", macs=10, inputs=("conv",)),
    ]
    executed = [("Conv", "c"), ("ReorderOutput", "?"), ("Gemm", "f")]
    tensors = {"c": "conv", "f": "fc"}
    reorder = join(ops, tensors, executed, inserted="?", reads=[(), (0,), (1,)]).ops[1]
    assert (reorder.covers, reorder.inserted, reorder.tied) == ((), True, True)
    assert (reorder.module, reorder.kind) == ("stem.conv", KIND.DATA_MOVEMENT)
    assert reorder.moves is not None
    assert reorder.moves.name == "conv"


def test_what_converts_an_input_of_the_network_is_charged_to_what_reads_it() -> None:
    ops = [op("conv", KIND.CONVOLUTION, "stem.conv", macs=100), op("relu", KIND.ACTIVATION, "act")]
    executed = [("QuantizeLinear", "?"), ("Transpose", ""), ("QLinearConv", "r")]
    found = join(ops, {"r": "relu"}, executed, reads=[(), (0,), (1,)]).ops
    assert [one.module for one in found] == ["stem.conv"] * 3
    assert [one.kind for one in found[:2]] == [KIND.QUANTIZE, KIND.DATA_MOVEMENT]
    assert [one.inserted for one in found] == [False, True, False]
    assert all(one.tied for one in found)


def test_padding_before_a_pooling_is_a_part_of_it() -> None:
    ops = [
        op("relu", KIND.ACTIVATION, "stem"),
        op("pool", KIND.POOLING, "pool", inputs=("relu",)),
    ]
    executed = [("Clamp", "r"), ("Constant Pad", "padded"), ("Max Pooling", "p")]
    found = join(ops, {"r": "relu", "p": "pool"}, executed, reads=[(), (0,), (1,)]).ops
    assert [one.module for one in found] == ["stem", "pool", "pool"]
    assert [one.part for one in found] == [False, True, False]


def test_steps_towards_data_that_the_network_moves_are_parts_of_moving_it() -> None:
    ops = [
        op("cat", KIND.DATA_MOVEMENT, "unit"),
        op("view", KIND.DATA_MOVEMENT, "unit", inputs=("cat",), costs=0),
        op("transpose", KIND.DATA_MOVEMENT, "unit", inputs=("view",)),
        op("conv", KIND.POINTWISE, "conv", macs=9, inputs=("transpose",)),
    ]
    executed = [("Copy", "c"), ("Reshape", "in the file"), ("Transpose", "t"), ("Transpose", "")]
    executed.append(("Convolution", "y"))
    tensors = {"c": "cat", "t": "transpose", "y": "conv"}
    found = join(ops, tensors, executed, inserted="", reads=[(), (0,), (1,), (2,), (3,)]).ops
    assert [[one.name for one in row.covers] for row in found] == [
        *(["cat"], ["transpose"], ["transpose"], [], ["conv"])
    ]
    assert [one.part for one in found] == [False, True, False, False, False]
    assert [one.inserted for one in found] == [False, False, False, True, False]


def test_what_nobody_knows_is_not_tied() -> None:
    ops = [op("conv", KIND.CONVOLUTION, "stem", macs=100)]
    executed = [("Buffer sync", "?"), ("Conv", "c"), ("Frobnicate", "??")]
    found = join(ops, {"c": "conv"}, executed, inserted="?", reads=[(), (), (1,)]).ops
    assert [one.tied for one in found] == [False, True, False]


def test_a_stage_of_the_run_is_no_op_of_any_module() -> None:
    ops = [op("conv", KIND.CONVOLUTION, "stem", macs=100)]
    manifest, profile = profiled(ops, {"c": "conv"}, [("Conv", "c"), ("Buffer sync", "?")])
    last = replace(profile.ops[1], inserted=True, stage=True)
    staged = replace(profile, ops=(profile.ops[0], last))
    stage = attribute(manifest, staged).ops[1]
    assert (stage.tied, stage.inserted, stage.kind, stage.module) == (False, False, KIND.OTHER, "")
    assert break_down(manifest, staged).coverage == 1
    assert break_down(manifest, profile).coverage == pytest.approx(1 / 3)


def test_branches_keep_their_own_activations() -> None:
    """Two branches, written one after the other, each fused; the sum is computed by itself."""
    ops = [
        op("stem", KIND.CONVOLUTION, "stem", macs=100),
        op("left", KIND.CONVOLUTION, "left.0", macs=100, inputs=("stem",)),
        op("left_act", KIND.ACTIVATION, "left.1", inputs=("left",)),
        op("right", KIND.CONVOLUTION, "right.0", macs=100, inputs=("stem",)),
        op("right_act", KIND.ACTIVATION, "right.1", inputs=("right",)),
        op("add", KIND.ELEMENTWISE, "", inputs=("left_act", "right_act")),
    ]
    # One branch keeps the name of its convolution, the other that of its activation.
    executed = [("Conv", "s"), ("Conv", "l"), ("FusedConv", "r"), ("Add", "a")]
    tensors = {"s": "stem", "l": "left", "r": "right_act", "a": "add"}
    attribution = join(ops, tensors, executed, reads=[(), (0,), (0,), (1, 2)])
    assert covered(attribution) == [["stem"], ["left", "left_act"], ["right", "right_act"], ["add"]]


def test_a_view_that_nobody_executes_has_vanished() -> None:
    ops = [
        op("conv", KIND.CONVOLUTION, "conv", macs=100),
        op("view", KIND.DATA_MOVEMENT, inputs=("conv",), costs=0),
        op("fc", KIND.LINEAR, "fc", macs=10, inputs=("view",)),
    ]
    executed = [("Conv", "c"), ("Gemm", "f")]
    attribution = join(ops, {"c": "conv", "f": "fc"}, executed, reads=[(), (0,)])
    assert covered(attribution) == [["conv"], ["fc"]]
    assert [one.name for one in attribution.vanished] == ["view"]


@st.composite
def profiles(draw: st.DrawFn) -> tuple[list[Op], dict[str, str], list[tuple[str, str]], Reads]:
    """A random network, and a random run of a random choice of words, tied at random."""
    kinds = draw(st.lists(st.sampled_from(list(KIND)), min_size=1, max_size=8))
    names = [f"op{i}" for i in range(len(kinds))]
    ops = [
        op(
            name,
            kind,
            macs=9 if kind in WITH_MACS else 0,
            inputs=tuple(draw(st.sets(st.sampled_from(names[:i])) if i else st.just(()))),
            costs=draw(st.sampled_from((0, 8))),
        )
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    words = draw(st.lists(st.sampled_from(WORDS), max_size=8))
    executed = [(word, f"t{i}") for i, word in enumerate(words)]
    reads = [
        tuple(sorted(draw(st.sets(st.integers(0, i - 1))))) if i else () for i in range(len(words))
    ]
    tied = st.sampled_from([None, *names])
    tensors = {tensor: name for _, tensor in executed if (name := draw(tied)) is not None}
    return ops, tensors, executed, reads


@given(profiles())
def test_no_work_is_lost_or_counted_twice(
    drawn: tuple[list[Op], dict[str, str], list[tuple[str, str]], Reads],
) -> None:
    ops, tensors, executed, reads = drawn
    attribution = join(ops, tensors, executed, reads=reads)
    borne = [one for row in attribution.ops if not row.part for one in row.covers]
    left = [*attribution.uncharged, *attribution.vanished]
    assert sorted(one.name for one in (*borne, *left)) == sorted(one.name for one in ops)
    assert sum(row.macs for row in attribution.ops) == sum(one.macs for one in borne)
    for row in attribution.ops:
        assert not (row.covers and row.moves)
        assert len(row.covers) == 1 or not row.part


def test_common_module() -> None:
    assert common_module("a.b.c", "a.b.d") == "a.b"
    assert common_module("ab.c", "a.c") == ""
    assert common_module("a", "a") == "a"
