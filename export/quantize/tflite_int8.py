"""TFLite in 8-bit integers: ai-edge-quantizer does it, with our ranges in place of its own.

What comes out follows TFLite's specification of 8-bit quantization
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec): weights
symmetric, biases 32-bit with the scale of input times weight, activations asymmetric. Two of its
demands go before the ranges: what only moves values about, and average pooling, gives the scale
that it takes; and the outputs of softmax, sigmoid and tanh have fixed scales.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName
from ai_edge_quantizer.recipe_manager import RecipeManager

from groundspeed.errors import ExportError
from groundspeed.export.quantize import ai_edge
from groundspeed.export.quantize.tflite_choice import choose
from groundspeed.export.quantize.tflite_graph import Graph, Operator, read
from groundspeed.export.quantize.tflite_scales import activation_spans, weight_spans
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization, Range


class TfliteQuantizer:
    """Turns a float TFLite file into one of 8-bit integers; see ``FileQuantizer``."""

    suffixes: tuple[str, ...] = ("_quantized", "_dequant")
    careful = None

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Replace the file in ``folder``, and describe the new one; see ``FileQuantizer``.

        Operators that have no integer kernel, and those next to a tensor whose range nothing
        tells, stay in floating point: the step's notes say which.

        Raises:
            ExportError: nothing in the file can compute with integers, or an end that should be
                an integer has no range.
        """
        path = ai_edge.only_file(written, folder)
        graph = read(path)
        choice = choose(graph, ties, quantization)
        if not choice.integer:
            raise ExportError(
                f"nothing in {path.name} can compute with integers ({'; '.join(choice.notes)}); "
                "write it in fp32"
            )
        scopes = _scopes(choice.integer)
        if quantization.integer_ends:
            scopes |= _ends(graph, choice.ranges)
        weights, notes = weight_spans(
            choice.integer, choice.ranges, per_channel=quantization.per_channel
        )
        recipe = _recipe(scopes, per_channel=quantization.per_channel)
        ai_edge.rewrite(path, recipe, activation_spans(choice.ranges) | weights)
        return ai_edge.described(written, folder, (*choice.notes, *notes))


def _scopes(operators: Sequence[Operator]) -> dict[TFLOperationName, list[str]]:
    """Return the scopes of operators by kind."""
    scopes = defaultdict(list)
    for operator in operators:
        scopes[operator.known_as].append(operator.scope)
    return dict(scopes)


def _ends(graph: Graph, ranges: Mapping[str, Range]) -> dict[TFLOperationName, list[str]]:
    """Return the scopes of the file's ends, which ai-edge-quantizer treats as operators.

    Raises:
        ExportError: an end has no range.
    """
    for tensor, name in {**graph.inputs, **graph.outputs}.items():
        if tensor not in ranges:
            raise ExportError(
                f"'{name}' cannot be an integer, because its range is not known; let inputs and "
                "outputs be floats"
            )
    return {kind: [scope] for kind, scope in graph.ends.items()}


def _recipe(
    scopes: Mapping[TFLOperationName, Sequence[str]], *, per_channel: bool
) -> RecipeManager:
    """Return a recipe that quantizes what has these scopes, and leaves the rest as it is."""
    recipe = RecipeManager()
    granularity = QuantGranularity.CHANNELWISE if per_channel else QuantGranularity.TENSORWISE
    for kind, members in scopes.items():
        # One expression for each kind, since all of them are matched against every operator.
        expression = f"^(?:{'|'.join(map(re.escape, members))})$"
        recipe.add_static_config(expression, kind, 8, 8, granularity)
    return recipe
