"""Which candidates are worth a file, which file is kept, and why its float layers are float."""

from __future__ import annotations

import math
from collections.abc import Sequence

from groundspeed.mixing import Candidate, Counterfactual, LayerGain, pareto_front

FINALISTS = 3
# A prediction may be off by this much: what is predicted to be slower than that is not made.
HOPE = 1.1


def finalists(candidates: Sequence[Candidate], max_drop: float) -> tuple[int, ...]:
    """Return the positions of the candidates to make and measure, the fastest first.

    Args:
        candidates: the first of them has no layer in integers.
        max_drop: points of top-1 that may be lost.
    """
    limit_ns = candidates[0].predicted_ns * HOPE
    hopeful = [
        position
        for position, each in enumerate(candidates)
        if each.layers and each.drop <= max_drop and each.predicted_ns <= limit_ns
    ]
    front = pareto_front([candidates[position] for position in hopeful])
    return tuple(hopeful[position] for position in front[::-1][:FINALISTS])


def choose(candidates: Sequence[Candidate], max_drop: float) -> tuple[int, str]:
    """Return the position of the candidate to keep, and why.

    It is the fastest of the files that were shown not to be slower than the float file and lose no
    more than they may; if there is none, the float file.

    Args:
        candidates: those with files measured; the first has no layer in integers.
        max_drop: points of top-1 that may be lost.
    """
    measured = {i: one.measured for i, one in enumerate(candidates) if one.measured is not None}
    proven = {
        i: one for i, one in measured.items() if one.drop <= max_drop and one.ratio.high <= 1.0
    }
    if not proven:
        return 0, _why_float(candidates, max_drop)
    best = min(proven, key=lambda i: proven[i].ratio.value)
    return best, (
        f"it took {_ratio(proven[best])} of the float file's time and lost "
        f"{proven[best].drop:.2f} points of top-1; the fastest of {len(measured)} files that were "
        "measured"
    )


def layer_reason(
    layer: LayerGain, candidates: Sequence[Candidate], chosen: int, max_drop: float
) -> str:
    """Return why a layer stays in floating point, with the numbers that were measured.

    Args:
        layer: its gain and cost.
        candidates: all that was judged.
        chosen: position of the one that is kept, which does without this layer.
        max_drop: points of top-1 that may be lost.
    """
    if layer.gain_ns is None:
        return "auto: the profiles do not tell its time"
    if layer.gain_ns.value <= 0:
        return f"auto: measured {_ms(-layer.gain_ns.value)} slower in integers"
    gain = f"auto: measured {_ms(layer.gain_ns.value)} faster in integers"
    larger = [each for each in candidates if layer.op in each.layers]
    if not larger:
        return f"{gain}, and in no set of layers that was tried"
    made = [each for each in larger if each.measured is not None]
    # Of the sets with it, the one whose file came closest, else the one that asks least.
    closest = min(made or larger, key=lambda each: (_ratio_of(each), len(each.layers)))
    others = f"with {len(closest.layers) - 1} more layers" if len(closest.layers) > 1 else "alone"
    measured = closest.measured
    lost = closest.drop if measured is None else measured.drop
    if lost > max_drop:
        return f"{gain}, costs too much accuracy: {lost:.2f} points of top-1 {others}"
    if measured is not None:
        better = " and the chosen file less" if chosen else ""
        return (
            f"{gain}, but {others} the file took {_ratio(measured)} of the float file's "
            f"time{better}"
        )
    if closest.error is not None:
        return f"{gain}, but {others} no file could be made: {closest.error}"
    return f"{gain}, but {others} the file was predicted to take {_ms(closest.predicted_ns)}"


def _why_float(candidates: Sequence[Candidate], max_drop: float) -> str:
    mixed = [each for each in candidates if each.layers]
    affordable = [each for each in mixed if each.drop <= max_drop]
    measured = [each.measured for each in affordable if each.measured is not None]
    if not mixed:
        return "no layer of it can compute with integers"
    if not affordable:
        least = min(each.drop for each in mixed)
        return f"every set of integer layers costs too much: {least:.2f} points of top-1 at least"
    if not measured:
        if errors := [each.error for each in affordable if each.error is not None]:
            return f"no file with integers could be made: {errors[0]}"
        fastest = min(each.predicted_ns for each in affordable) / candidates[0].predicted_ns
        return f"integers were predicted to take {fastest:.2f} of the float file's time at least"
    fitting = [each for each in measured if each.drop <= max_drop]
    if not fitting:
        least = min(each.drop for each in measured)
        return f"the files with integers lost {least:.2f} points of top-1 at least"
    best = min(fitting, key=lambda each: each.ratio.value)
    return (
        f"no file with integers was shown to be as fast; the best of {len(fitting)} took "
        f"{_ratio(best)} of the float file's time"
    )


def _ratio_of(candidate: Candidate) -> float:
    return math.inf if candidate.measured is None else candidate.measured.ratio.value


def _ratio(measured: Counterfactual) -> str:
    ratio = measured.ratio
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _ms(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:.3g} ms"
