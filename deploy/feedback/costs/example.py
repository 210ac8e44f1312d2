"""A profiled network, as a device's cost model learns from it: each of its ops with its time.

So are microbenchmarks: patchworks of ops (``patchwork.py``) are networks, too, but no examples of
how long a network takes.

Other work on a device only ever makes ops slower, and never the same ones, so that nothing could be
learned from it. The times are therefore those of the fastest tenth of all runs, and so is the
latency that is predicted from them.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass

from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.breakdown import Breakdown
from groundspeed.deploy.feedback.costs.features import Described, described
from groundspeed.ops import Op

PATCHWORK = "patchwork:"  # what the source of a patchwork begins with


@dataclass(frozen=True, kw_only=True)
class Example:
    """A network that was profiled on the device.

    Attributes:
        network: its name.
        is_patchwork: whether it is one.
        ops: its canonical ops, in order of computation.
        times_ns: what each of them is charged with; 0 for one that was fused into another.
        between_ns: the rest of the end-to-end time, which no op is charged with.
        run: number of the run in its store.
        launch_at: when, UTC, ISO 8601.
    """

    network: str
    ops: tuple[Op, ...]
    times_ns: tuple[float, ...]
    between_ns: float
    is_patchwork: bool = False
    run: int = 0
    launch_at: str = ""

    @functools.cached_property
    def described(self) -> tuple[Described, ...]:
        """The ops as a cost model looks at them."""
        return tuple(described(self.ops))

    @property
    def identity(self) -> tuple[str, int]:
        """Name and MACs: two trainings of a network are one, two widths of it are not."""
        return self.network, sum(op.macs for op in self.ops)

    @property
    def total_ns(self) -> float:
        """End to end, without the profiler."""
        return sum(self.times_ns) + self.between_ns


def example(manifest: Manifest, breakdown: Breakdown, run: int = 0, launch_at: str = "") -> Example:
    """Return what a profiled launch teaches.

    An executed op is charged to the heaviest op of the network that it computes, one that only
    moves a value to the op that computed this.

    Args:
        manifest: of the file.
        breakdown: of the launch.
        run: number of the run in its store.
        launch_at: when it was made.
    """
    charged: dict[str, float] = defaultdict(float)
    for row in breakdown.ops:
        op = _bearer(row.op.covers) or row.op.moves
        if op is not None:
            charged[op.name] += row.time.ns
    times = tuple(charged[op.name] for op in manifest.ops)
    return Example(
        network=manifest.source.name,
        is_patchwork=manifest.source.spec.startswith(PATCHWORK),
        ops=manifest.ops,
        times_ns=times,
        between_ns=breakdown.plain.ns - sum(times),
        run=run,
        launch_at=launch_at,
    )


def _bearer(covers: tuple[Op, ...]) -> Op | None:
    return max(covers, key=lambda op: (op.macs, op.flops, op.memory_bytes), default=None)
