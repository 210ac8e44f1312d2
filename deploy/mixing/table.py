"""What integers save in each layer: the profiles of two files, joined through the network's ops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.breakdown import OpRow, break_down
from groundspeed.deploy.statistics import t_interval
from groundspeed.errors import LaunchError
from groundspeed.measurement import Launch
from groundspeed.mixing import Estimate, LayerGain, OtherTime
from groundspeed.quantization import LayerLoss


@dataclass(frozen=True, kw_only=True)
class Times:
    """The times of one profiled launch, in nanoseconds.

    Attributes:
        layers: op of a layer -> what the runtime's ops for it and its activations take.
        others: kind -> what ops of this kind take that belong to no layer.
        whole: end to end, without the profiler.
    """

    layers: dict[str, float]
    others: dict[str, float]
    whole: float


@dataclass(frozen=True, kw_only=True)
class Table:
    """Gains of layers, and all else that differs between a float and an integer file.

    Attributes:
        layers: in order of computation.
        others: what belongs to no layer, the largest change first.
        float_ns: latency of the float file.
        int8_ns: latency of the integer file; None if there is none.
        broken: ops of layers that are in floating point in the integer file too.
    """

    layers: tuple[LayerGain, ...]
    others: tuple[OtherTime, ...]
    float_ns: float
    int8_ns: float | None
    broken: frozenset[str] = frozenset()

    @property
    def choosable(self) -> tuple[LayerGain, ...]:
        """The layers that can be integers."""
        return tuple(layer for layer in self.layers if layer.op not in self.broken)

    def predicted_ns(self, chosen: frozenset[str]) -> float:
        """Return the latency of a file whose integer layers are these, as far as one can tell.

        The chosen layers' gains come off the float file's latency. What changes outside of layers
        (mostly conversions to and from integers) is spread evenly over all of them. So it is exact
        for the two files that were measured, and between them a guess that has to be measured.
        """
        if self.int8_ns is None or not chosen:
            return self.float_ns
        gains = {layer.op: layer.gain_ns.value for layer in self.layers if layer.gain_ns}
        elsewhere = self.int8_ns - (self.float_ns - sum(gains.values()))
        share = len(chosen) / len(self.choosable)
        return self.float_ns - sum(gains.get(op, 0.0) for op in chosen) + share * elsewhere


def make_table(
    losses: Sequence[LayerLoss],
    floats: Sequence[Times],
    integers: Sequence[Times],
    *,
    broken: Collection[str] = (),
) -> Table:
    """Return the table from launches that were made in pairs.

    Args:
        losses: what quantization costs each layer.
        floats: times of the float file's launches, two or more.
        integers: times of the integer file's launches, in the same order; none without such a file.
        broken: ops of layers that are in floating point in the integer file too.
    """
    kinds = dict.fromkeys(kind for times in (*floats, *integers) for kind in times.others)
    others = [
        OtherTime(
            kind=kind,
            float_ns=_mean([times.others.get(kind, 0.0) for times in floats]),
            int8_ns=_mean([times.others.get(kind, 0.0) for times in integers]),
        )
        for kind in kinds
        if integers
    ]
    return Table(
        layers=tuple(_gain(loss, floats, () if loss.op in broken else integers) for loss in losses),
        others=tuple(sorted(others, key=lambda other: -abs(other.int8_ns - other.float_ns))),
        float_ns=_mean([times.whole for times in floats]),
        int8_ns=_mean([times.whole for times in integers]) if integers else None,
        broken=frozenset(broken),
    )


def layer_times(manifest: Manifest, launch: Launch, owners: Mapping[str, str]) -> Times:
    """Return where the time of a profiled launch goes.

    An op of the runtime that computes several layers at once is the heaviest one's.

    Args:
        manifest: of the file.
        launch: with a profile.
        owners: op of the network -> the layer that it belongs to.

    Raises:
        LaunchError: the launch has no profile.
    """
    if launch.profile is None:
        raise LaunchError(
            f"{manifest.runtime} gave no times of its ops, without which no gain of a layer can be "
            "told; export in int8 instead of auto"
        )
    broken = break_down(manifest, launch.profile)
    layers: dict[str, float] = defaultdict(float)
    others: dict[str, float] = defaultdict(float)
    for row in broken.ops:
        layer = _layer(row, owners)
        if layer is None:
            others[row.op.kind.value] += row.time.ns
        else:
            layers[layer] += row.time.ns
    return Times(layers=dict(layers), others=dict(others), whole=broken.plain.ns)


def _layer(row: OpRow, owners: Mapping[str, str]) -> str | None:
    heaviest = sorted(row.op.covers, key=lambda op: -op.macs)
    return next((owners[op.name] for op in heaviest if op.name in owners), None)


def _gain(loss: LayerLoss, floats: Sequence[Times], integers: Sequence[Times]) -> LayerGain:
    before = [times.layers[loss.op] for times in floats if loss.op in times.layers]
    after = [times.layers[loss.op] for times in integers if loss.op in times.layers]
    gain = None
    if after and len(before) == len(floats) and len(after) == len(integers):
        saved = np.subtract(before, after)
        low, high = t_interval(saved)
        gain = Estimate(value=_mean(saved), low=low, high=high)
    return LayerGain(
        op=loss.op,
        module=loss.module,
        float_ns=_mean(before) if before else None,
        int8_ns=_mean(after) if after else None,
        gain_ns=gain,
        output_sqnr_db=loss.output_sqnr_db,
    )


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values))
