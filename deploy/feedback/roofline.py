"""How close each op came to the best that an op of the same run achieved.

The roof is *visible*, not physical: the highest arithmetic rate and the highest memory rate among
the ops of this very run. It says what this runtime could do on this machine with this network, and
nothing about the hardware's peak, which was not measured.

The picture is that of S. Williams, A. Waterman, D. Patterson, "Roofline: An Insightful Visual
Performance Model for Multicore Architectures", CACM 52(4), 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

from groundspeed.deploy.feedback.breakdown import Breakdown, OpRow

# A timer's resolution is about a microsecond: the rate of an op that takes less is noise.
SHORTEST_NS = 5_000.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One executed op in the picture.

    Attributes:
        row: the op.
        intensity: FLOPs per byte of memory access.
        flops_per_s: achieved.
        of_roof: achieved rate over the visible roof at this intensity, 1 on the roof.
    """

    row: OpRow
    intensity: float
    flops_per_s: float
    of_roof: float


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """The ops of one run under the best that was achieved in it.

    Attributes:
        peak_flops_per_s: best arithmetic rate of an op of this run.
        peak_bytes_per_s: best memory rate of an op of this run.
        points: ops with arithmetic and bytes on paper that took at least ``SHORTEST_NS``.
    """

    peak_flops_per_s: float
    peak_bytes_per_s: float
    points: tuple[Point, ...]

    def roof_at(self, intensity: float) -> float:
        """Return the visible roof at an intensity, in FLOPs per second."""
        return min(self.peak_flops_per_s, self.peak_bytes_per_s * intensity)


def roofline(breakdown: Breakdown) -> Roofline | None:
    """Place the ops of a breakdown under their visible roof; None when none has a rate."""
    rated = [
        (row, row.flops_per_s, row.bytes_per_s)
        for row in breakdown.ops
        if row.flops_per_s and row.bytes_per_s and row.time.ns >= SHORTEST_NS
    ]
    if not rated:
        return None
    peak_flops = max(flops for _, flops, _ in rated)
    peak_bytes = max(bytes_ for _, _, bytes_ in rated)
    points = []
    for row, flops, bytes_ in rated:
        intensity = flops / bytes_
        roof = min(peak_flops, peak_bytes * intensity)
        points.append(Point(row=row, intensity=intensity, flops_per_s=flops, of_roof=flops / roof))
    return Roofline(peak_flops_per_s=peak_flops, peak_bytes_per_s=peak_bytes, points=tuple(points))
