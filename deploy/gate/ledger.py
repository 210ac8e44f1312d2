"""The null comparisons in the store, and what they come to.

There is no second record: everything here is computed from their launches.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from groundspeed.deploy import comparability, results
from groundspeed.deploy.gate.calibration import (
    CONFIDENCE,
    Calibration,
    hottest_c,
    without_shapes,
)
from groundspeed.deploy.gate.comparing import Comparison, log_ratios
from groundspeed.deploy.gate.decision import Rules, Verdict, judge, sequential_test
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.store.store import Store
from groundspeed.measurement import Launch


def calibrations(store: Store, device: str, rules: Rules) -> list[Calibration]:
    """Return what the null comparisons of a device come to, one for each setting.

    Of a setting whose conditions changed, only the comparisons since then count.

    Args:
        store: the ledger.
        device: name of the target.
        rules: how they would have been judged.
    """
    groups: dict[tuple[str, str, int], list[RunResult]] = defaultdict(list)
    for result in null_runs(store, device):
        cell = result.cells[0].cell
        groups[cell.runtime, cell.precision, cell.threads].append(result)
    return [_calibration(_alike(group), rules) for group in groups.values()]


def null_runs(store: Store, device: str) -> list[RunResult]:
    """Return the complete comparisons of files with themselves, the oldest first."""
    found = []
    for run in store.runs():
        cells = run.plan.cells
        is_null = len(cells) == 2 and cells[0] == cells[1]
        if is_null and run.plan.target == device and run.finished_at is not None:
            result = results.read(store, run.id)
            if min(len(cell.medians_ns) for cell in result.cells) > 1:
                found.append(result)
    return found


def trusted(comparisons: Sequence[Comparison], store: Store, rules: Rules) -> list[Comparison]:
    """Return comparisons, each with the calibration of its device under its setting."""
    known = {
        (one.device, one.runtime, one.precision, one.threads): one
        for device in dict.fromkeys(each.device for each in comparisons)
        for one in calibrations(store, device, rules)
    }
    found = []
    for each in comparisons:
        manifest = each.contest.candidate.manifest
        setting = (each.device, manifest.runtime, manifest.precision, each.contest.threads)
        found.append(dataclasses.replace(each, calibration=known.get(setting)))
    return found


def _alike(group: Sequence[RunResult]) -> list[RunResult]:
    """Return the newest runs whose conditions are equal."""
    last = without_shapes(key_of(group[-1]))
    alike: list[RunResult] = []
    for result in reversed(group):
        if without_shapes(key_of(result)) != last:
            break
        alike.append(result)
    return alike[::-1]


def key_of(result: RunResult) -> comparability.Key:
    """Return what must be equal in launches that are compared with those of a run."""
    return next(
        (one.comparability for one in result.cells[0].stored if one.comparability is not None), {}
    )


def _calibration(group: Sequence[RunResult], rules: Rules) -> Calibration:
    from scipy.stats import binomtest, chi2  # type: ignore[import-untyped]

    logs = [np.array(log_ratios(*(cell.medians_ns for cell in one.cells))) for one in group]
    verdicts = [_judged(one, rules) for one in logs]
    fails = sum(verdict is Verdict.FAIL for verdict, _ in verdicts)
    bound = binomtest(fails, len(logs)).proportion_ci(CONFIDENCE, method="exact").high
    residuals = [one - one.mean() for one in logs]
    freedom = sum(len(one) - 1 for one in logs)
    squares = sum(float(one @ one) for one in residuals)
    tail = (1 - CONFIDENCE) / 2
    followers = [float(one[1:] @ one[:-1]) for one in residuals]
    launches = [launch for one in group for cell in one.cells for launch in cell.launches]
    spent = [one.duration_s for each in group for cell in each.cells for one in cell.stored]
    first, last = group[0], group[-1]
    cell = last.cells[0].cell
    return Calibration(
        device=last.run.plan.target,
        runtime=cell.runtime,
        precision=cell.precision,
        threads=cell.threads,
        key=key_of(last),
        first_at=first.run.started_at,
        last_at=last.run.started_at,
        comparisons=len(logs),
        fails=fails,
        improvements=sum(is_faster for _, is_faster in verdicts),
        bound=float(bound),
        pairs=sum(map(len, logs)),
        deviation=math.sqrt(squares / freedom),
        deviation_low=math.sqrt(squares / chi2.ppf(1 - tail, freedom)),
        deviation_high=math.sqrt(squares / chi2.ppf(tail, freedom)),
        within=float(np.median([_scatter(launch) for launch in launches])),
        autocorrelation=sum(followers) / squares if squares else 0.0,
        pair_s=sum(spent) / sum(map(len, logs)),
        hottest_c=hottest_c(launches),
    )


def _judged(logs: np.ndarray, rules: Rules) -> tuple[Verdict, bool]:
    seen = sequential_test(rules).examine(
        logs.tolist(), most=max(rules.pairs, len(logs)), level=rules.level
    )
    return judge(seen, rules.margin), seen.high < 0.0


def _scatter(launch: Launch) -> float:
    low, middle, high = np.percentile(launch.samples_ns, (16, 50, 84))
    return float((high - low) / 2 / middle)
