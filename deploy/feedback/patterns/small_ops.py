"""Many ops with so little work that starting them costs more than computing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene

# A single core of a phone computes some 10 GMACs and moves some 10 GB in a second, and starts an op
# in about two microseconds: up to here, starting it costs as much as computing it.
MOST_MACS = 20_000
MOST_BYTES = 20_000
# Every network ends in a few such ops (pooling, flattening, softmax).
LEAST_OPS = 8


def _find(scene: Scene) -> Iterator[Sighting]:
    small = [
        (position, row.op)
        for position, row in enumerate(scene.executed)
        if any(op.memory_bytes for op in row.op.covers)  # else what it does is not known
        and row.op.macs <= MOST_MACS
        and all(op.memory_bytes - 4 * op.parameters <= MOST_BYTES for op in row.op.covers)
    ]
    if len(small) < LEAST_OPS:
        return
    for position, op in small:
        place = Place(
            module=op.module,
            line=op.line,
            ops=tuple(each.name for each in op.covers),
            what=f"{op.kind} of {op.macs} MACs",
        )
        yield Sighting(place=place, charges={position: 1.0}, dispatches=1)


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    return None  # The same work in fewer ops is another network for each of them.


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return "merge these ops into fewer and larger ones: fewer branches, fewer and wider layers"


PATTERN = Pattern(
    name="small ops",
    guideline="G3",
    reason="An op has a fixed cost (dispatch, setting up the kernel), however little it computes.",
    source="N. Ma, X. Zhang, H.-T. Zheng, J. Sun, ShuffleNet V2, ECCV 2018, section 2.2 (G3)",
    example="for _ in range(32): x = torch.relu(conv_of_8_channels_on_4x4(x))",
    find=_find,
    change=_change,
    advice=_advice,
)
