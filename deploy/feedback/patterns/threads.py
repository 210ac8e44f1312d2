"""Ops with so little work that several threads cannot share it with gain.

Handing work to other threads and waiting for the last of them takes some microseconds, whatever is
computed, and runtimes leave the smallest ops to one thread; the others wait meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene

# Waking threads and joining them takes about five microseconds. In that time, a core of a phone
# (10 GMACs/s, 10 GB/s) computes this much by itself; with less for each thread nothing is gained.
LEAST_MACS = 50_000
LEAST_BYTES = 50_000


def _find(scene: Scene) -> Iterator[Sighting]:
    if scene.threads < 2:
        return
    for position, row in enumerate(scene.executed):
        covers = row.op.covers
        macs = row.op.macs / scene.threads
        # Weights count: they are read by whichever thread needs them.
        moved = max((op.memory_bytes for op in covers), default=0) / scene.threads
        # What has no work on paper (a view) has none to share.
        if macs + moved and macs < LEAST_MACS and moved < LEAST_BYTES:
            what = f"{macs:.0f} MACs and {moved:.0f} bytes for each of {scene.threads} threads"
            yield Sighting(
                place=Place(
                    module=row.op.module,
                    line=row.op.line,
                    ops=tuple(op.name for op in covers),
                    what=what,
                ),
                # What it would save at best, if its threads shared it evenly.
                charges={position: 1.0 - 1.0 / scene.threads},
            )


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    return None  # The number of threads is not the network's.


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    return (
        f"{len(sightings)} of {len(scene.executed)} ops are too small for {scene.threads} threads: "
        "measure with fewer threads (--threads 1), or merge small ops into larger ones"
    )


PATTERN = Pattern(
    name="threads",
    guideline="",
    reason="Starting threads and waiting for them costs more than they save.",
    source="G. M. Amdahl, Validity of the Single Processor Approach, AFIPS 1967",
    example="nn.Conv2d(16, 16, 1)  # on 7 x 7 maps, with 4 threads",
    find=_find,
    change=_change,
    advice=_advice,
)
