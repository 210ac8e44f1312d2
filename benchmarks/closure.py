"""How much of a network's latency the per-op times add up to.

closure = sum of the per-op times of a profiled run, without what timing them costs, divided by
the end-to-end time of the plain run next to it; the median over all runs. What is missing to 1 is
work between ops (or, above 1, caches that profiling disturbs).
"""

from __future__ import annotations

import sys

import numpy as np
from rows import show
from subjects import Subject, parser, subject

from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.measurement import OpProfile


def measure(model: Subject, threads: int, runs: int) -> dict[str, object]:
    """Profile one network in a fresh process."""
    job = model.job("profile", threads, profile_runs=runs, min_seconds=0.2)
    profile = LocalTarget().run(job).profile
    assert profile is not None
    return {"model": model.name, "runtime": model.runtime, "threads": threads, **figures(profile)}


def figures(profile: OpProfile) -> dict[str, float]:
    """Return closure and its parts."""
    sums = np.asarray(profile.times_ns, float).sum(axis=0)
    plain, profiled = np.asarray(profile.plain_ns, float), np.asarray(profile.profiled_ns, float)
    return {
        "ops": len(profile.ops),
        "plain_ms": float(np.median(plain)) / 1e6,
        "closure": float(np.median(sums / plain)),
        "closure_of_minima": float(sums.min() / plain.min()),
        "rest_ms": float(np.median(plain - sums)) / 1e6,
        "profiled_over_plain": float(np.median(profiled / plain)),
        "timing_cost_us": profile.timing_cost_ns / 1e3,
    }


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=60)
    asked = options.parse_args()
    models = (subject(path, tuple(asked.shape)) for path in asked.models)
    show((measure(model, asked.threads, asked.runs) for model in models), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
