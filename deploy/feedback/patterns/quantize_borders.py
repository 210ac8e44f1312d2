"""Borders inside a quantized network, where integers become floating-point numbers or back.

Each passes over a whole map, and between two of them stands an op that computes in floating point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.conversions import borders
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene


def _find(scene: Scene) -> Iterator[Sighting]:
    for border in borders(scene):
        yield Sighting(place=border.place, charges={border.position: 1.0})


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    return None  # Without its borders, an op in between would have to compute something else.


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    kinds = {
        scene.ops[op].kind for one in sightings for op in one.place.ops if not scene.ops[op].macs
    }
    between = f" ({', '.join(sorted(kinds))})" if kinds else ""
    return (
        f"keep integers through: replace the ops between the borders{between} with ones that "
        f"{scene.manifest.runtime} computes in integers, or leave the layers around them in "
        "floating point; the borders alone cannot be measured"
    )


PATTERN = Pattern(
    name="quantize borders",
    guideline="",
    reason="A pass over a whole map does nothing but change the type of its values.",
    source="B. Jacob et al., Quantization and Training of Neural Networks for Efficient "
    "Integer-Arithmetic-Only Inference, CVPR 2018, section 2",
    example="nn.Sequential(nn.Conv2d(32, 32, 1), nn.GELU(), nn.Conv2d(32, 32, 1)), in int8",
    find=_find,
    change=_change,
    advice=_advice,
)
