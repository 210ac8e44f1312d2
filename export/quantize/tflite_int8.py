"""TFLite in 8-bit integers: ai-edge-quantizer does it, with our ranges in place of its own.

What comes out follows TFLite's specification of 8-bit quantization
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec): weights
symmetric, biases 32-bit with the scale of input times weight, activations asymmetric. Two of its
demands go before the ranges: what only moves values about, and average pooling, gives the scale
that it takes; and the outputs of softmax, sigmoid and tanh have fixed scales.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ai_edge_quantizer.default_policy import DEFAULT_CONFIG_CHECK_POLICY
from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName
from ai_edge_quantizer.recipe_manager import RecipeManager

from groundspeed.errors import ExportError
from groundspeed.export.quantize import ai_edge
from groundspeed.export.quantize.tflite_graph import Graph, Operator, read, spread
from groundspeed.export.quantize.tflite_scales import activation_spans, weight_spans
from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization, Range

# The kinds of operators that ai-edge-quantizer writes with 8-bit activations. A composite is none:
# it is known by its name only, and the graph that it stands for computes with floats.
KINDS = frozenset(
    kind
    for kind, configs in DEFAULT_CONFIG_CHECK_POLICY.items()
    if any(config.activation_tensor_config is not None for config in configs)
) - {TFLOperationName.STABLEHLO_COMPOSITE}


class TfliteQuantizer:
    """Turns a float TFLite file into one of 8-bit integers; see ``FileQuantizer``."""

    suffixes: tuple[str, ...] = ("_quantized", "_dequant")

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
        known = quantization.calibration.ranges
        held = spread(graph.operators, _tied_tensors(graph, ties, known))
        ranges = {
            tensor: functools.reduce(Range.joined, (known[op] for op in ops))
            for tensor, ops in held.items()
        }
        reasons = {
            operator: _reason(operator, held, quantization.float_ops or {})
            for operator in graph.operators
            if operator.inputs or operator.outputs  # the others compute with integers anyway
        }
        integer = [operator for operator, reason in reasons.items() if not reason]
        if not integer:
            raise ExportError(
                f"no operator of {path.name} can compute with integers "
                f"({next(iter(reasons.values()), 'it has none')}); write it in fp32"
            )
        scopes = _scopes(integer)
        if quantization.integer_ends:
            scopes |= _ends(graph, ranges)
        weights, notes = weight_spans(integer, ranges, per_channel=quantization.per_channel)
        ai_edge.rewrite(
            path,
            _recipe(scopes, per_channel=quantization.per_channel),
            activation_spans(ranges) | weights,
        )
        return ai_edge.described(written, folder, (*_notes(reasons), *notes))


def _tied_tensors(
    graph: Graph, ties: Mapping[str, str], ranges: Mapping[str, Range]
) -> dict[str, str]:
    """Return tensor -> op with a range; the file's ends may be tied by their names outside."""
    ends = {**graph.inputs, **graph.outputs}
    tied = {tensor: ties[name] for tensor, name in ends.items() if name in ties} | dict(ties)
    return {tensor: op for tensor, op in tied.items() if op in ranges}


def _reason(
    operator: Operator, held: Mapping[str, frozenset[str]], float_ops: Mapping[str, str]
) -> str:
    """Return why an operator stays in floating point, "" if it does not."""
    ops = frozenset[str]().union(*(held.get(tensor, ()) for tensor in operator.outputs))
    if ops and ops <= float_ops.keys():
        op = min(ops)
        return f"{op}: {float_ops[op]}"
    if operator.known_as not in KINDS or operator.nested:
        return "there is no integer kernel for it"
    for tensor in (*operator.inputs, *operator.outputs):
        if tensor not in held:
            return f"the range of '{tensor}' is not known"
    return ""


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


def _notes(reasons: Mapping[Operator, str]) -> Iterator[str]:
    integer = sum(not reason for reason in reasons.values())
    yield f"{integer} of {len(reasons)} operators compute with 8-bit integers"
    kept = Counter((operator.kind, reason) for operator, reason in reasons.items() if reason)
    for (kind, reason), count in kept.items():
        yield f"{kind} stays in floating point, {reason} ({count} of them)"
