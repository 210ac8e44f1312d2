"""Additions, multiplications and the like that the runtime computes by themselves.

Residual additions above all: they read two maps and write a third to compute next to nothing.
Gates have a pattern of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.edits import bypassable, bypassed
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.patterns.squeeze_excitation import gates
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import Op, OpKind


def _find(scene: Scene) -> Iterator[Sighting]:
    gated = {name for gate in gates(scene) for name in gate.ops}
    for op in scene.manifest.ops:
        if op.kind is not OpKind.ELEMENTWISE or op.name in gated:
            continue
        executed = scene.alone({op.name, *_activation(scene, op)})
        if any(op in scene.executed[position].op.covers for position in executed):
            shape = "x".join(map(str, op.output_shape))
            what = f"{scene.call(op.name).op} of {shape}, not fused"
            yield Sighting(
                place=Place(module=op.module, line=op.line, ops=(op.name,), what=what),
                charges=dict.fromkeys(executed, 1.0),
            )


def _activation(scene: Scene, op: Op) -> tuple[str, ...]:
    """Return the activation that reads the op alone: behind a layer instead, it would be fused."""
    users = list(scene.nodes[op.name].users)
    if len(users) != 1 or users[0].name not in scene.ops:
        return ()
    (reader,) = users
    return (reader.name,) if scene.ops[reader.name].kind is OpKind.ACTIVATION else ()


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    taken = tuple(one for one in sightings if bypassable(scene, *one.place.ops))
    if not taken:
        return None
    after = bypassed(scene, {op for one in taken for op in one.place.ops})
    return Change(what="one of its inputs instead of each", after=after, taken=taken)


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return (
        f"{scene.manifest.runtime} passes over the map once more for each; use fewer (a residual "
        "connection around two blocks instead of one), or fold constants into the weights beside"
    )


PATTERN = Pattern(
    name="element-wise",
    guideline="G4",
    reason="Two maps are read and one is written to compute one operation for each value.",
    source="N. Ma, X. Zhang, H.-T. Zheng, J. Sun, ShuffleNet V2, ECCV 2018, section 2.2 (G4)",
    example="x + block(x)",
    find=_find,
    change=_change,
    advice=_advice,
)
