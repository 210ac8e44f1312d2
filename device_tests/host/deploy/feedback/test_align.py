"""Hand-made networks and profiles, where the right answer is known."""

from __future__ import annotations

from groundspeed.artifact import Manifest, Source
from groundspeed.deploy.feedback.align import Attribution, attribute, common_module
from groundspeed.measurement import OpProfile, ProfiledOp
from groundspeed.ops import Op, OpKind

KIND = OpKind


def op(name: str, kind: OpKind, module: str = "", macs: int = 0) -> Op:
    return Op(
        name=name,
        kind=kind,
        module=module,
        line=f"net.py:{len(name)}",
        output_shape=(1, 8),
        parameters=0,
        macs=macs,
        flops=2 * macs or 8,
        memory_bytes=64,
    )


def join(
    ops: list[Op], tensors: dict[str, str], executed: list[tuple[str, str]], inserted: str = ""
) -> Attribution:
    """Attribute executed ops, given as (engine's word, output tensor)."""
    manifest = Manifest(
        runtime="onnxruntime",
        format="onnx",
        precision="fp32",
        files=(),
        inputs=(),
        outputs=(),
        source=Source(name="net", spec="net", digest=""),
        ops=tuple(ops),
        tensors=tensors,
    )
    profile = OpProfile(
        ops=tuple(
            ProfiledOp(name=f"{i}", type=word, outputs=(output,), inserted=output == inserted)
            for i, (word, output) in enumerate(executed)
        ),
        times_ns=tuple((10 * (i + 1),) for i in range(len(executed))),
        profiled_ns=(1000,),
        plain_ns=(900,),
    )
    return attribute(manifest, profile)


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
        op("add", KIND.ELEMENTWISE, "block"),
        op("relu", KIND.ACTIVATION, "block.relu"),
    ]
    executed = [("Conv", "d"), ("FusedConv", "y")]
    attribution = join(ops, {"d": "down", "y": "relu"}, executed)
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


def test_common_module() -> None:
    assert common_module("a.b.c", "a.b.d") == "a.b"
    assert common_module("ab.c", "a.c") == ""
    assert common_module("a", "a") == "a"
