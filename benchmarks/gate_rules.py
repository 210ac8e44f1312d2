"""The gate beside what people use: false alarms and slowdowns found, by the same launches.

Pairs of a file with itself are launched as 'groundspeed check' launches them, all in one run. Every
--window pairs are a trial. Each rule judges the trials as they are, and again with the candidate's
times made longer by 3, 5 and 10 %. Rules that compare with an earlier session take the baseline of
the trial before: there the same file was measured some time ago.

    Welch and Mann-Whitney at 1 %      as Google Benchmark's compare.py and asv use the latter
    a threshold on medians             as most scripts
    pytest-benchmark, mean:5%          its own class decides, when it is installed
    group-sequential, e-process        'groundspeed check', without and with --strict

A second table has the share of trials in which a slowdown is shown, by its size and the number of
pairs; --picture draws it. --record keeps the pairs as CSV, and --replay judges such a file instead
of measuring (then without the rules that need single inferences).

    python benchmarks/gate_rules.py [--trials N] [--window PAIRS] [--load] [--record FILE]
        [--replay FILE] [--picture FILE.html] [--json]
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]
from layers import LAYERS, exported, load
from numpy.typing import NDArray
from rows import Row, show
from scipy.stats import binomtest, mannwhitneyu, ttest_ind

from groundspeed.deploy.gate.comparing import Contest, plan_of
from groundspeed.deploy.gate.e_process import EProcess
from groundspeed.deploy.gate.evidence import SequentialTest
from groundspeed.deploy.gate.group_sequential import GroupSequential
from groundspeed.deploy.pipeline import execute
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget

SLOWER = (0.0, 0.03, 0.05, 0.10)
LEVEL = 0.01
FEWER = (0.25, 0.5, 0.75, 1.0)  # of a window's pairs, for the curve

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Session:
    """Launches of one file: the times of their inferences in nanoseconds."""

    launches: tuple[Floats, ...]

    @property
    def medians(self) -> Floats:
        """One number for each launch."""
        return np.array([median(each) for each in self.launches])

    def slower(self, by: float) -> Session:
        """Return the same launches, all of them longer by a share."""
        return Session(tuple(each * (1 + by) for each in self.launches))


@dataclass(frozen=True)
class Trial:
    """A window of pairs, and the baseline of the window before."""

    earlier: Session
    baseline: Session
    candidate: Session


Alarm = Callable[[Trial], bool]


def over(share: float, *, launches: int | None) -> Alarm:
    """Return the rule that medians grew by more than a share."""

    def alarm(trial: Trial) -> bool:
        old, new = (median(each.medians[:launches]) for each in (trial.earlier, trial.candidate))
        return new / old > 1 + share

    return alarm


def pytest_benchmark(trial: Trial) -> bool:
    """Apply what ``--benchmark-compare-fail=mean:5%`` does to the first launch of each session."""
    from pytest_benchmark.utils import PercentageRegressionCheck  # type: ignore[import-not-found]

    old, new = (
        {"mean": float(np.mean(each.launches[0]))} for each in (trial.earlier, trial.candidate)
    )
    return PercentageRegressionCheck("mean", 5.0).fails(new, old) is not None


def mann_whitney_of_inferences(trial: Trial) -> bool:
    """Test the inferences of one launch each, as if they were independent."""
    old, new = trial.earlier.launches[0], trial.candidate.launches[0]
    return float(mannwhitneyu(new, old, alternative="greater").pvalue) < LEVEL


def welch_of_inferences(trial: Trial) -> bool:
    """Test the means of the inferences of one launch each."""
    old, new = trial.earlier.launches[0], trial.candidate.launches[0]
    return float(ttest_ind(new, old, equal_var=False, alternative="greater").pvalue) < LEVEL


def mann_whitney_of_launches(trial: Trial) -> bool:
    """Test the medians of all launches of two sessions."""
    old, new = trial.earlier.medians, trial.candidate.medians
    return float(mannwhitneyu(new, old, alternative="greater").pvalue) < LEVEL


def shown_by(test: SequentialTest) -> Alarm:
    """Return whether the gate's own limits exclude that the candidate is as fast."""

    def alarm(trial: Trial) -> bool:
        logs = np.log(trial.candidate.medians / trial.baseline.medians)
        return test.examine(logs.tolist(), most=len(logs), level=LEVEL).low > 0

    return alarm


def rules(*, with_inferences: bool) -> dict[str, Alarm]:
    """Return every rule by its name."""
    found = {
        "medians of all launches, over 5 %": over(0.05, launches=None),
        "medians of all launches, over 10 %": over(0.10, launches=None),
        "medians of one launch, over 5 %": over(0.05, launches=1),
        "medians of one launch, over 10 %": over(0.10, launches=1),
        "Mann-Whitney on launches": mann_whitney_of_launches,
        "groundspeed check": shown_by(GroupSequential()),
        "groundspeed check --strict": shown_by(EProcess()),
    }
    if with_inferences:
        found |= {
            "Mann-Whitney on inferences": mann_whitney_of_inferences,
            "Welch on inferences": welch_of_inferences,
        }
        try:
            import pytest_benchmark as _  # noqa: F401
        except ImportError:
            print("pytest-benchmark is not installed: its rule is left out", file=sys.stderr)
        else:
            found["pytest-benchmark, mean:5%"] = pytest_benchmark
    return found


def measured(count: int, window: int) -> Iterator[tuple[Session, Session]]:
    """Yield the baseline and the candidate of each window, both of them the same file."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store") as store:
        file, target = exported(LAYERS, Path(folder)), LocalTarget()
        contest = Contest(baseline=file, candidate=file)
        for number in range(count):
            result = execute(
                plan_of(contest, target, pairs=window, seed=number),
                store=store,
                target=target,
                export_one=lambda cell: file,
                fresh=True,
            )
            old, new = (
                {one.round: one.launch for one in cell.stored if one.launch is not None}
                for cell in result.cells
            )
            both = sorted(old.keys() & new.keys())
            print(f"window {number + 1} of {count}", file=sys.stderr, flush=True)
            yield (
                Session(tuple(np.asarray(old[round].samples_ns, float) for round in both)),
                Session(tuple(np.asarray(new[round].samples_ns, float) for round in both)),
            )


def replayed(path: Path, window: int) -> list[tuple[Session, Session]]:
    """Return the windows of a recorded file: each launch has one number, its median."""
    with path.open(newline="") as file:
        pairs = [
            (np.array([float(row["baseline_ns"])]), np.array([float(row["candidate_ns"])]))
            for row in csv.DictReader(line for line in file if not line.startswith("#"))
        ]
    starts = range(0, len(pairs) - window + 1, window)
    cut = [pairs[start : start + window] for start in starts]
    return [
        (Session(tuple(old for old, _ in each)), Session(tuple(new for _, new in each)))
        for each in cut
    ]


def record(windows: Sequence[tuple[Session, Session]], path: Path) -> None:
    """Keep the medians of all pairs in the order in which they were measured."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("baseline_ns", "candidate_ns"))
        for old, new in windows:
            writer.writerows(
                (f"{before:.0f}", f"{now:.0f}")
                for before, now in zip(old.medians, new.medians, strict=True)
            )


def rule_rows(trials: Sequence[Trial], *, with_inferences: bool) -> Iterator[Row]:
    """Yield for each rule how often it raised an alarm, by the true slowdown."""
    for name, alarm in rules(with_inferences=with_inferences).items():
        row: dict[str, object] = {"rule": name, "trials": len(trials)}
        for by in SLOWER:
            alarms = sum(
                alarm(Trial(one.earlier, one.baseline, one.candidate.slower(by))) for one in trials
            )
            bounds = binomtest(alarms, len(trials)).proportion_ci(method="exact")
            row[f"+{by:.0%}"] = alarms / len(trials)
            row[f"+{by:.0%}, 95 %"] = f"[{bounds.low:.3f}, {bounds.high:.3f}]"
        yield row


def power_rows(windows: Sequence[tuple[Session, Session]]) -> Iterator[Row]:
    """Yield the share of trials in which a slowdown is shown, by its size and the pairs."""
    logs = [np.log(new.medians / old.medians) for old, new in windows]
    test = GroupSequential()
    for share in FEWER:
        pairs = round(share * min(len(each) for each in logs))
        parts = [part for each in logs for part in _parts(each, pairs)]
        row: dict[str, object] = {
            "pairs": pairs,
            "trials": len(parts),
            "scatter of pairs": float(np.median([np.std(part, ddof=1) for part in parts])),
        }
        for by in (0.0, 0.01, 0.02, 0.03, 0.05, 0.10):
            shown = [
                test.examine((part + math.log1p(by)).tolist(), most=pairs, level=LEVEL).low > 0
                for part in parts
            ]
            row[f"+{by:.0%}"] = float(np.mean(shown))
        yield row


def _parts(values: Floats, length: int) -> list[Floats]:
    return [values[at : at + length] for at in range(0, len(values) - length + 1, length)]


def draw(curve: Sequence[Row], path: Path) -> None:
    """Write the curve of power as a page."""
    figure = go.Figure()
    for row in curve:
        effects = [key for key in row if key.startswith("+")]
        figure.add_scatter(x=effects, y=[row[key] for key in effects], name=f"{row['pairs']} pairs")
    figure.update_layout(
        title="Share of trials in which a slowdown is shown",
        xaxis_title="true slowdown",
        yaxis_title="share",
        yaxis_range=[0, 1.02],
    )
    figure.write_html(path, include_plotlyjs=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--window", type=int, default=40, help="pairs of a trial")
    parser.add_argument("--load", action="store_true", help="keep the machine busy meanwhile")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.replay is not None:
        windows = replayed(asked.replay, asked.window)
    else:
        with load(asked.load):
            windows = []
            for window in measured(asked.trials, asked.window):
                windows.append(window)
                if asked.record is not None:
                    record(windows, asked.record)
    trials = [
        Trial(earlier=before[0], baseline=now[0], candidate=now[1])
        for before, now in itertools.pairwise(windows)
    ]
    curve = list(power_rows(windows))
    show(rule_rows(trials, with_inferences=asked.replay is None), as_json=asked.json)
    show(curve, as_json=asked.json)
    if asked.picture is not None:
        draw(curve, asked.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
