"""TFLite with 8-bit weights and floating-point activations, which needs no calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName
from ai_edge_quantizer.recipe_manager import RecipeManager

from groundspeed.export.quantize import ai_edge
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization

DYNAMIC, WEIGHT_ONLY = "int8_dynamic", "int8_weight_only"
_NOTES = {
    DYNAMIC: (
        "weights in int8, symmetric; the runtime quantizes their inputs anew in every run",
        "weights of linears have one scale: with one for each channel tflite-runtime answers "
        "nonsense",
        "depthwise convolutions compute with floats, of weights that are stored in int8: XNNPACK "
        "has no such kernel for them",
    ),
    WEIGHT_ONLY: (
        "weights in int8, symmetric per output channel; the runtime turns them into floats when "
        "it opens the file, and computes with floats",
    ),
}
# What runtimes compute with inputs that they quantize themselves. tflite-runtime 2.14 ignores all
# but one scale of a linear.
_DYNAMIC_KINDS = {
    TFLOperationName.BATCH_MATMUL: QuantGranularity.TENSORWISE,
    TFLOperationName.CONV_2D: QuantGranularity.CHANNELWISE,
    TFLOperationName.CONV_2D_TRANSPOSE: QuantGranularity.CHANNELWISE,
    TFLOperationName.FULLY_CONNECTED: QuantGranularity.TENSORWISE,
}


def quantize_weights(written: Written, folder: Path, precision: str) -> Written:
    """Replace the float file in ``folder`` by one with 8-bit weights, and describe it.

    Args:
        written: the float file.
        folder: where it is, and where the new one goes under the same name.
        precision: "int8_dynamic" or "int8_weight_only".

    Raises:
        ExportError: the file cannot be quantized.
    """
    recipe = _dynamic() if precision == DYNAMIC else _weight_only(TFLOperationName.ALL_SUPPORTED)
    ai_edge.rewrite(ai_edge.only_file(written, folder), recipe)
    return ai_edge.described(written, folder, _NOTES[precision])


class _WeightsQuantizer:
    """Both kinds; see ``FileQuantizer``."""

    suffixes: tuple[str, ...] = ()
    careful = None
    precision: str

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Replace the file; of the ranges none is needed. See ``FileQuantizer.quantize``."""
        return quantize_weights(written, folder, self.precision)


class DynamicQuantizer(_WeightsQuantizer):
    """Stores weights in int8, and lets the runtime round their inputs; see ``FileQuantizer``."""

    precision = DYNAMIC


class WeightOnlyQuantizer(_WeightsQuantizer):
    """Stores weights in int8, and computes with floats; see ``FileQuantizer``."""

    precision = WEIGHT_ONLY


def _weight_only(kind: TFLOperationName) -> RecipeManager:
    recipe = RecipeManager()
    recipe.add_weight_only_config(".*", kind, 8, QuantGranularity.CHANNELWISE)
    return recipe


def _dynamic() -> RecipeManager:
    recipe = _weight_only(TFLOperationName.DEPTHWISE_CONV_2D)
    for kind, granularity in _DYNAMIC_KINDS.items():
        recipe.add_dynamic_config(".*", kind, 8, granularity)
    return recipe
