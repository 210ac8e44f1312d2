"""Words as the engines really print them."""

from __future__ import annotations

import pytest

from groundspeed.deploy.vocabulary import kind_of, word_of
from groundspeed.measurement import ProfiledOp
from groundspeed.ops import OpKind

ONNX_RUNTIME = {
    "Conv": OpKind.CONVOLUTION,
    "FusedConv": OpKind.CONVOLUTION,
    "ConvTranspose": OpKind.TRANSPOSED,
    "Gemm": OpKind.LINEAR,
    "ReorderInput": OpKind.DATA_MOVEMENT,
    "ReorderOutput": OpKind.DATA_MOVEMENT,
    "Transpose": OpKind.DATA_MOVEMENT,
    "Split": OpKind.DATA_MOVEMENT,
    "Unsqueeze": OpKind.DATA_MOVEMENT,
    "GlobalAveragePool": OpKind.POOLING,
    "ReduceMean": OpKind.REDUCTION,
    "BatchNormalization": OpKind.NORMALIZATION,
    "Clip": OpKind.ACTIVATION,
    "HardSigmoid": OpKind.ACTIVATION,
    "Mul": OpKind.ELEMENTWISE,
    "DequantizeLinear": OpKind.QUANTIZE,
    "QLinearConv": OpKind.CONVOLUTION,
    "QLinearAdd": OpKind.ELEMENTWISE,
    "QLinearSigmoid": OpKind.ACTIVATION,
    "QLinearGlobalAveragePool": OpKind.POOLING,
    "QGemm": OpKind.LINEAR,
    "DynamicQuantizeMatMul": OpKind.LINEAR,
    "Max": OpKind.ELEMENTWISE,
    "NonMaxSuppression": OpKind.OTHER,
}
LITERT = {
    "Convolution (NHWC, F32) IGEMM": OpKind.CONVOLUTION,
    "Convolution (NHWC, QC8) DWConv": OpKind.DEPTHWISE,
    "Fully Connected (NC, F32) GEMM": OpKind.LINEAR,
    "Transpose (ND, X32)": OpKind.DATA_MOVEMENT,
    "Constant Pad (ND, X32)": OpKind.DATA_MOVEMENT,
    "Convert (NC, F32, QS8)": OpKind.QUANTIZE,
    "Convert (NC, F32, QDU8)": OpKind.QUANTIZE,
    "Convert (NC, F16, F32)": OpKind.DATA_MOVEMENT,
    "Max Pooling (NHWC, F32)": OpKind.POOLING,
    "Unary Elementwise (NC, F32)": OpKind.ELEMENTWISE,
    "PADV2": OpKind.DATA_MOVEMENT,
    "DEPTHWISE_CONV_2D": OpKind.DEPTHWISE,
    "TRANSPOSE_CONV": OpKind.TRANSPOSED,
    "HARD_SWISH": OpKind.ACTIVATION,
    "MEAN": OpKind.REDUCTION,
}
NCNN = {
    "Convolution": OpKind.CONVOLUTION,
    "ConvolutionDepthWise": OpKind.DEPTHWISE,
    "Deconvolution": OpKind.TRANSPOSED,
    "InnerProduct": OpKind.LINEAR,
    "ShuffleChannel": OpKind.DATA_MOVEMENT,
    "Padding": OpKind.DATA_MOVEMENT,
    "Pooling": OpKind.POOLING,
    "BinaryOp": OpKind.ELEMENTWISE,
    "Reduction": OpKind.REDUCTION,
    "ReLU": OpKind.ACTIVATION,
    "Requantize": OpKind.QUANTIZE,
}


@pytest.mark.parametrize(("word", "kind"), [*ONNX_RUNTIME.items(), *LITERT.items(), *NCNN.items()])
def test_the_engines_words(word: str, kind: OpKind) -> None:
    assert kind_of(word) is kind


def test_litert_calls_changes_to_and_from_integers_by_the_name_of_the_operator() -> None:
    assert word_of(ProfiledOp(name="QUANTIZE 3", type="Convert (NC)")) is OpKind.QUANTIZE
    assert word_of(ProfiledOp(name="CAST 3", type="Convert (NC)")) is OpKind.DATA_MOVEMENT
    assert word_of(ProfiledOp(name="quantize_me", type="Conv")) is OpKind.CONVOLUTION
