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
from dataclasses import dataclass
from itertools import groupby
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
        ranges = _bounds(graph) | {
            tensor: functools.reduce(Range.joined, (known[op] for op in ops))
            for tensor, ops in held.items()
        }
        kept = {
            operator: reason
            for operator in graph.operators
            if (reason := _reason(operator, ranges, held, quantization.float_ops or {}))
        }
        integer = [operator for operator in graph.operators if operator not in kept]
        if not integer:
            raise ExportError(
                f"no operator of {path.name} can compute with integers "
                f"({'; '.join(_notes(kept))}); write it in fp32"
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
        count = f"{len(integer)} of {len(graph.operators)} operators compute with 8-bit integers"
        return ai_edge.described(written, folder, (count, *_notes(kept), *notes))


def _tied_tensors(
    graph: Graph, ties: Mapping[str, str], ranges: Mapping[str, Range]
) -> dict[str, str]:
    """Return tensor -> op with a range; the file's ends may be tied by their names outside."""
    ends = {**graph.inputs, **graph.outputs}
    tied = {tensor: ties[name] for tensor, name in ends.items() if name in ties} | dict(ties)
    return {tensor: op for tensor, op in tied.items() if op in ranges}


def _bounds(graph: Graph) -> dict[str, Range]:
    """Return the ranges that operators have by what they are."""
    return {
        tensor: operator.bounds
        for operator in graph.operators
        if operator.bounds
        for tensor in operator.outputs
    }


@dataclass(frozen=True)
class _Reason:
    """Why an operator stays in floating point: the canonical op or its own kind, and the cause."""

    what: str
    why: str


def _reason(
    operator: Operator,
    ranges: Mapping[str, Range],
    held: Mapping[str, frozenset[str]],
    float_ops: Mapping[str, str],
) -> _Reason | None:
    ops = frozenset[str]().union(*(held.get(tensor, ()) for tensor in operator.outputs))
    if ops and ops <= float_ops.keys():
        op = min(ops)
        return _Reason(op, float_ops[op])
    if operator.known_as not in KINDS or operator.nested:
        return _Reason(operator.kind, "there is no integer kernel for it")
    if any(tensor not in ranges for tensor in (*operator.inputs, *operator.outputs)):
        return _Reason(operator.kind, "a range of what it takes or gives is not known")
    return None


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


def _notes(kept: Mapping[Operator, _Reason]) -> Iterator[str]:
    for why, reasons in groupby(sorted(kept.values(), key=_why), key=_why):
        counts = Counter(reason.what for reason in reasons)
        names = ", ".join(
            f"{count} {what}" if count > 1 else what for what, count in counts.items()
        )
        yield f"in floating point, because {why}: {names}"


def _why(reason: _Reason) -> str:
    return reason.why
