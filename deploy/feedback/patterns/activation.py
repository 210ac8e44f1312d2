"""Activations that the runtime computes by themselves instead of with the op before them.

One pass over a feature map reads and writes every value of it and computes next to nothing; fused
into a convolution, it costs nothing that can be measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.edits import bypassed
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import OpKind


def _find(scene: Scene) -> Iterator[Sighting]:
    for op in scene.manifest.ops:
        executed = scene.alone({op.name}) if op.kind is OpKind.ACTIVATION else ()
        if executed:
            word = scene.call(op.name).op
            place = Place(module=op.module, line=op.line, ops=(op.name,), what=f"{word}, not fused")
            yield Sighting(place=place, charges=dict.fromkeys(executed, 1.0))


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    after = bypassed(scene, {op for one in sightings for op in one.place.ops})
    return Change(what="the identity instead of each", after=after)


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    words = {scene.call(op).op for one in sightings for op in one.place.ops}
    return (
        f"{scene.manifest.runtime} does not fuse {' and '.join(sorted(words))} with the op before; "
        "use an activation that it fuses (ReLU, ReLU6), or fewer of them"
    )


PATTERN = Pattern(
    name="activation",
    guideline="G4",
    reason="A pass of its own over a feature map moves every value to compute next to nothing.",
    source="N. Ma, X. Zhang, H.-T. Zheng, J. Sun, ShuffleNet V2, ECCV 2018, section 2.2 (G4)",
    example="nn.Sequential(nn.Conv2d(32, 32, 1), nn.SiLU())",
    find=_find,
    change=_change,
    advice=_advice,
)
