"""TFLite with 8-bit weights and floating-point activations, which needs no calibration."""

from __future__ import annotations

from pathlib import Path

from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName
from ai_edge_quantizer.recipe_manager import RecipeManager

from groundspeed.export.quantize import ai_edge
from groundspeed.export.writer import Written

DYNAMIC, WEIGHT_ONLY = "int8_dynamic", "int8_weight_only"
_NOTES = {
    DYNAMIC: (
        "weights of convolutions and linears in int8, symmetric per output channel; the runtime "
        "quantizes their inputs anew in every run"
    ),
    WEIGHT_ONLY: (
        "weights of convolutions and linears in int8, symmetric per output channel; the runtime "
        "turns them back into floats when it opens the file, and computes with floats"
    ),
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
    recipe = RecipeManager()
    add = {DYNAMIC: recipe.add_dynamic_config, WEIGHT_ONLY: recipe.add_weight_only_config}
    add[precision](".*", TFLOperationName.ALL_SUPPORTED, 8, QuantGranularity.CHANNELWISE)
    ai_edge.rewrite(ai_edge.only_file(written, folder), recipe)
    return ai_edge.described(written, folder, (_NOTES[precision],))
