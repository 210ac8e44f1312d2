"""Conversions of layout or type that no op of the network asked for.

A runtime has its own order of values for its fast kernels (blocks of channels, channels last) and
goes back to the network's order wherever an op has no kernel for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.conversions import layout_conversions
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene

# Learned from what each executes for the networks of the zoo. ncnn is not here: it changes the
# packing of a map inside the layer that reads it, and so within that layer's time.
_ADVICE = {
    "onnxruntime": (
        "ONNX Runtime leaves its blocks of channels (NCHWc) for ops that have no kernel for them: "
        "keep channels multiples of 16, and let as few ops as possible slice, reshape or reduce "
        "between convolutions"
    ),
    "litert": (
        "TFLite keeps channels last, and an op that is written for channels first (view, permute, "
        "mean over named axes) needs transposes around it: use pooling modules, and reshape only "
        "behind them"
    ),
}


def _find(scene: Scene) -> Iterator[Sighting]:
    for conversion in layout_conversions(scene):
        yield Sighting(place=conversion.place, charges={conversion.position: 1.0})


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    return None  # They are not in the network, so nothing can be taken out of it.


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    known = _ADVICE.get(scene.manifest.runtime, "use ops that the runtime has in one layout")
    return f"{known}; the runtime put these in by itself, so they cannot be measured apart"


PATTERN = Pattern(
    name="layout conversion",
    guideline="",
    reason="The same values are written once more in another order, because two kernels disagree.",
    source="ONNX Runtime, NCHWc optimizations, https://onnxruntime.ai/docs/performance/"
    "model-optimizations/graph-optimizations.html#layout-optimizations",
    example="nn.Sequential(nn.Conv2d(64, 64, 1), nn.ChannelShuffle(2), nn.Conv2d(64, 64, 1))",
    find=_find,
    change=_change,
    advice=_advice,
)
