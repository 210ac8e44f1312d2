"""Files measured against the float file, in rounds, so that what disturbs one disturbs all."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence

import numpy as np

from groundspeed.deploy.statistics import estimate, t_interval
from groundspeed.deploy.targets.target import Target
from groundspeed.measurement import Job, Launch
from groundspeed.mixing import Counterfactual, Estimate

# Below 5 rounds an interval is too wide to show anything; above 60 the machine has drifted.
MIN_ROUNDS, MAX_ROUNDS = 5, 60

OnProgress = Callable[[str], None]


def rounds_of_launches(
    target: Target,
    jobs: Sequence[Job],
    *,
    rounds: int | None = None,
    seconds: float = 0.0,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> list[list[Launch]]:
    """Launch every job once a round, in an order that is drawn anew for each.

    Args:
        target: where.
        jobs: what.
        rounds: how many; None goes on until the time is spent, MIN_ROUNDS at least.
        seconds: the time that may be spent.
        seed: of the orders.
        on_progress: called with a short sentence for each round.

    Returns:
        For each job its launches, in order of the rounds.
    """
    orders, end = random.Random(seed), time.monotonic() + seconds
    least, most = (rounds, rounds) if rounds is not None else (MIN_ROUNDS, MAX_ROUNDS)
    launches: list[list[Launch]] = [[] for _ in jobs]
    for number in range(most):
        if number >= least and time.monotonic() >= end:
            break
        if on_progress is not None:
            on_progress(f"round {number + 1} of launches, {len(jobs)} files in each")
        for which in orders.sample(range(len(jobs)), len(jobs)):
            launches[which].append(target.run(jobs[which]))
    return launches


def compare(floats: Sequence[Launch], mixed: Sequence[Launch], *, drop: float) -> Counterfactual:
    """Compare a mixed file with the float file.

    The interval is Student's on the logarithms of the rounds' ratios: from a handful of rounds, a
    bootstrap's would be too narrow.

    Args:
        floats: the float file's launches.
        mixed: the mixed file's, from the same rounds.
        drop: points of top-1 that the mixed file lost.
    """
    float_ns, mixed_ns = _medians(floats), _medians(mixed)
    logs = np.log(mixed_ns) - np.log(float_ns)
    low, high = t_interval(logs)
    return Counterfactual(
        float_ns=estimate(float_ns),
        mixed_ns=estimate(mixed_ns),
        ratio=Estimate(
            value=math.exp(float(np.mean(logs))), low=math.exp(low), high=math.exp(high)
        ),
        rounds=len(logs),
        drop=drop,
    )


def _medians(launches: Sequence[Launch]) -> list[float]:
    return [float(np.median(each.samples_ns)) for each in launches]
