"""Mixed precision by measurement: a record of which layers compute with integers, and why.

Durations are nanoseconds on the target. An accuracy drop is in points of top-1: 0.5 means that
one more sample in 200 is answered wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured number with its 95 % interval; the unit is a pair of launches."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class LayerGain:
    """What integers save in one layer, and what they cost.

    Attributes:
        op: canonical op of the layer.
        module: the user's module that it stems from.
        float_ns: what the runtime's ops for this layer take in the float file; None when the
            profile has none for it.
        int8_ns: the same in the file whose layers all are integers.
        gain_ns: ``float_ns - int8_ns`` with its spread; None when one of them is.
        output_sqnr_db: signal to noise ratio of the network's outputs when this layer alone is
            quantized, simulated; decibels.
    """

    op: str
    module: str
    float_ns: float | None
    int8_ns: float | None
    gain_ns: Estimate | None
    output_sqnr_db: float

    @property
    def noise(self) -> float:
        """Power of the noise at the network's outputs, as a share of the signal's."""
        return float(10 ** (-self.output_sqnr_db / 10))


@dataclass(frozen=True, kw_only=True)
class OtherTime:
    """What ops of one kind take that belong to no layer: additions, reorders, quantization."""

    kind: str
    float_ns: float
    int8_ns: float


@dataclass(frozen=True, kw_only=True)
class Counterfactual:
    """A mixed file measured against the float file, in the same rounds of launches.

    Attributes:
        float_ns: latency of the float file, the geometric mean of its launches' medians.
        mixed_ns: the same of the mixed file.
        ratio: of the mixed file's latency to the float file's, by rounds.
        rounds: how many launches each had.
        drop: points of top-1 that the file lost on its own runtime.
    """

    float_ns: float
    mixed_ns: float
    ratio: Estimate
    rounds: int
    drop: float


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A set of layers to compute with integers.

    Attributes:
        layers: canonical ops of those layers, in order of computation.
        drop: points of top-1 that it loses against the float network, simulated.
        predicted_ns: latency as the layers' gains predict it.
        measured: the file itself against the float file; None when it was not made.
        error: why the file could not be made; None when it could, or was not tried.
    """

    layers: tuple[str, ...]
    drop: float
    predicted_ns: float
    measured: Counterfactual | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How a mixed file came about; part of its manifest.

    Attributes:
        search: name of the strategy that proposed candidates.
        target: where it was measured.
        threads: threads that the runtime computed with.
        max_drop: points of top-1 that may be lost.
        judged_by: what a drop is a drop of ("top-1 accuracy").
        judged_on: the data, in words.
        samples: how many of them.
        float_ns: latency of the float file in the profiled launches, without the profiler.
        int8_ns: the same of the file with all layers in integers, but for those that come out wrong
            in them; None if no such file could be made.
        layers: gain and cost of each layer that can be an integer one, in order of computation.
        others: what belongs to no layer.
        candidates: all that was judged, in that order; the first has no layer in integers.
        front: positions of the candidates on the Pareto front of drop and predicted latency.
        chosen: position of the candidate that the file is.
        why: why that one, in a sentence.
    """

    search: str
    target: str
    threads: int
    max_drop: float
    judged_by: str
    judged_on: str
    samples: int
    float_ns: float
    int8_ns: float | None
    layers: tuple[LayerGain, ...]
    others: tuple[OtherTime, ...]
    candidates: tuple[Candidate, ...]
    front: tuple[int, ...]
    chosen: int
    why: str


def pareto_front(candidates: Sequence[Candidate]) -> tuple[int, ...]:
    """Return the positions of the candidates that no other one beats, the fastest last.

    One beats another if it is predicted faster and loses no more, or as fast and loses less; of
    equal ones the first stays.
    """
    order = sorted(
        range(len(candidates)), key=lambda i: (candidates[i].drop, candidates[i].predicted_ns, i)
    )
    front: list[int] = []
    for i in order:
        if not front or candidates[i].predicted_ns < candidates[front[-1]].predicted_ns:
            front.append(i)
    return tuple(front)
