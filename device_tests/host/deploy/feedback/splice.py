"""Scenes changed by hand: what a runtime inserts, and what it calls things."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from groundspeed.deploy.feedback.scene import Scene
from groundspeed.measurement import ProfiledOp
from groundspeed.ops import Op


def inserted(scene: Scene, behind: str, word: str, ns: int = 10_000, **others: object) -> Scene:
    """Return a chain of ops where the runtime executes something of its own behind one.

    Args:
        scene: a chain: each op reads what the one before it computed.
        behind: the last canonical op that stands before it.
        word: what the runtime calls it.
        ns: how long it takes.
        others: of the executed op.
    """
    profile, owner = scene.profile, scene.owner(behind)
    assert owner is not None
    at = owner + 1
    op = ProfiledOp(**{"name": word, "type": word, "inserted": True, **others})  # type: ignore[arg-type]
    runs = len(profile.plain_ns)
    ops = (*profile.ops[:at], op, *profile.ops[at:])
    changed = dataclasses.replace(
        profile,
        ops=tuple(dataclasses.replace(op, reads=(i - 1,) if i else ()) for i, op in enumerate(ops)),
        times_ns=(*profile.times_ns[:at], (ns,) * runs, *profile.times_ns[at:]),
        profiled_ns=tuple(each + ns for each in profile.profiled_ns),
        plain_ns=tuple(each + ns for each in profile.plain_ns),
    )
    return dataclasses.replace(scene, profile=changed)


def called(scene: Scene, word: Callable[[Op], str | None]) -> Scene:
    """Return a scene where the runtime has its own words.

    Args:
        scene: a scene as it was.
        word: what it calls an op by the first that it computes; None leaves it.
    """
    ops = []
    for row in scene.executed:
        new = word(row.op.covers[0]) if row.op.covers else None
        ops.append(dataclasses.replace(row.op.executed, type=new or row.op.executed.type))
    profile = dataclasses.replace(scene.profile, ops=tuple(ops))
    return dataclasses.replace(scene, profile=profile)
