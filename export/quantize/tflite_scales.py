"""The scales of a TFLite file, said as ai-edge-quantizer wants to hear them.

It takes the least and the largest value of a tensor and makes scale and zero point of them; so it
is given the real values that stand at the ends of the integers, and finds the scales of
``groundspeed.quantization`` again. Weights too: by itself it has no bias in mind when it chooses
their scales, and a bias that does not fit in 32 bits then is cut off in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from groundspeed.export.quantize.tflite_graph import Operator, Weights
from groundspeed.quantization import Range, weight_scales

LEAST, LARGEST = -128, 127
# Half of what 32 bits hold: the other half is for the sum that a bias is added to.
LARGEST_BIAS = 2**30

# "min" and "max".
Span = dict[str, NDArray[np.float64]]


def activation_spans(ranges: Mapping[str, Range]) -> dict[str, Span]:
    """Return tensor -> the real values that -128 and 127 stand for in it."""
    spans = {}
    for tensor, range in ranges.items():
        scale, zero_point = range.asymmetric(LEAST, LARGEST)
        least, largest = scale * (LEAST - zero_point), scale * (LARGEST - zero_point)
        spans[tensor] = {"min": np.array(least), "max": np.array(largest)}
    return spans


def weight_spans(
    operators: Iterable[Operator], ranges: Mapping[str, Range], *, per_channel: bool
) -> tuple[dict[str, Span], list[str]]:
    """Return weight -> the real values that -127 and 127 stand for in each channel; and notes.

    A channel whose bias would not fit in 32 bits gets a larger scale than its weights ask for,
    as TFLite's own converter does: next to such a bias its weights count for nothing.

    Args:
        operators: those that compute with integers.
        ranges: tensor -> range, of their inputs at least.
        per_channel: whether each output channel has a scale of its own.
    """
    spans: dict[str, Span] = {}
    notes = []
    for operator in operators:
        weights = operator.weights
        if weights is None:
            continue
        input_scale, _ = ranges[operator.inputs[0]].asymmetric(LEAST, LARGEST)
        wanted = _wanted_scales(weights, per_channel=per_channel)
        scales = np.maximum(wanted, _scale_for_bias(weights, input_scale))
        if not per_channel:
            scales = scales.max(keepdims=True)
        raised = int(np.sum(scales > wanted))
        if raised:
            notes.append(
                f"{raised} of {len(scales)} scales of {weights.name} are larger than its values "
                "ask for, so that the biases fit in 32 bits"
            )
        largest = LARGEST * np.expand_dims(scales, weights.other_axes)
        if weights.name in spans:  # operators share the weight: the scale has to suit them all
            largest = np.maximum(largest, spans[weights.name]["max"])
        spans[weights.name] = {"min": -largest, "max": largest}
    return spans, notes


def _wanted_scales(weights: Weights, *, per_channel: bool) -> NDArray[np.float64]:
    first = np.moveaxis(weights.values, weights.axis, 0)
    return weight_scales(first, per_channel=per_channel).astype(np.float64)


def _scale_for_bias(weights: Weights, input_scale: float) -> NDArray[np.float64]:
    """Return the least scale of each channel with which its bias fits in 32 bits."""
    if weights.bias is None:
        return np.zeros(weights.values.shape[weights.axis])
    return np.abs(weights.bias.astype(np.float64)) / (input_scale * LARGEST_BIAS)
