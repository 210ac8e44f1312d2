"""Measure a candidate beside its baseline: launches in pairs until a verdict stands.

The two are cells of one ordinary stored run, a pair is a round of it, and the run's own drawing of
an order is the coin. So resuming, leases, cooling down and storing hold for comparisons, too, and
all that is said of one can be computed again from what is stored.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from groundspeed.artifact import Artifact
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.execution import GIVE_UP_AFTER
from groundspeed.deploy.gate.budgets import Spent
from groundspeed.deploy.gate.calibration import Calibration
from groundspeed.deploy.gate.decision import Rules, Verdict, judge, sequential_test
from groundspeed.deploy.gate.evidence import Evidence, least_level
from groundspeed.deploy.pipeline import execute
from groundspeed.deploy.plan import Cell, Plan, Settings
from groundspeed.deploy.results import CellResult, RunResult
from groundspeed.deploy.store.rows import StoredLaunch
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import UsageError

if TYPE_CHECKING:
    from groundspeed.deploy.gate.culprits import Culprits
    from groundspeed.deploy.gate.instructions import Instructions

LAUNCHES = Settings(
    half_width=0.0,
    max_seconds=None,
    min_seconds=0.5,
    max_samples=20_000,
    max_warmup_seconds=2.0,
    profile_runs=0,
)

# Where a target can, the launches of a pair take turns, each as long as about this many inferences
# at this pace. Neither the pace nor the number is a result: another one would do as well.
INFERENCES_A_TURN = 20
MACS_PER_S = 20e9
LEAST_TURN_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Two files to compare, and how they run.

    Attributes:
        baseline: the file to beat.
        candidate: the file that is judged.
        threads: threads that both may compute with.
        packages: exact versions of packages ("onnxruntime==1.31.0") that the baseline runs with,
            instead of those that are installed.

    Raises:
        UsageError: the two cannot be compared.
    """

    baseline: Artifact
    candidate: Artifact
    threads: int = 1
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        old, new = self.baseline.manifest, self.candidate.manifest
        for what, before, now in (
            ("runtime", old.runtime, new.runtime),
            ("precision", old.precision, new.precision),
            ("input shapes", _shapes(self.baseline), _shapes(self.candidate)),
        ):
            if before != now:
                raise UsageError(
                    f"{new.source.name} cannot be compared with its baseline: {what} was {before}, "
                    f"is {now}; make a baseline with the same"
                )

    @property
    def is_same(self) -> bool:
        """Whether both are one file in one runtime: then neither can be slower."""
        return self.baseline.id == self.candidate.id and not self.packages

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """What is measured: the baseline, and the candidate."""
        return self.cell(self.baseline, self.packages), self.cell(self.candidate)

    def cell(self, artifact: Artifact, packages: tuple[str, ...] = ()) -> Cell:
        """Return what is measured of one file, with packages other than those installed."""
        manifest = artifact.manifest
        return Cell(
            network=manifest.source,
            runtime=manifest.runtime,
            precision=manifest.precision,
            threads=self.threads,
            artifact_id=artifact.id,
            packages=packages,
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A contest on one device, and what came of it.

    Attributes:
        contest: what was compared.
        device: where.
        verdict: see there.
        evidence: what the pairs say; None when there was nothing to measure.
        is_faster: whether an improvement is shown.
        smallest: the change (as a logarithm) that as many pairs as were allowed show in 95 % of
            trials, at this scatter; None where too few pairs were measured to tell.
        pair_s: what a pair took, in seconds; None without pairs.
        result: the launches; None when there was nothing to measure.
        problem: why there is no evidence; "" when there is.
        spent: how the candidate stands to its budget.
        calibration: what files that were compared with themselves there came to; None when none
            were, under the same setting.
        culprits: why the candidate is slower, where somebody looked.
        instructions: how many both files execute, where somebody counted.
    """

    contest: Contest
    device: str
    verdict: Verdict
    evidence: Evidence | None = None
    is_faster: bool = False
    smallest: float | None = None
    pair_s: float | None = None
    result: RunResult | None = None
    problem: str = ""
    spent: tuple[Spent, ...] = ()
    calibration: Calibration | None = None
    culprits: Culprits | None = None
    instructions: Instructions | None = None

    @property
    def ratio(self) -> float | None:
        """Candidate's latency over the baseline's, the geometric mean of all pairs."""
        return None if self.evidence is None else math.exp(self.evidence.estimate)


def compare(
    contest: Contest,
    *,
    store: Store,
    target: Target,
    rules: Rules,
    family: int = 1,
    cpus: tuple[int, ...] = (),
    seed: int = 0,
    even_if_same: bool = False,
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
) -> Comparison:
    """Launch baseline and candidate in pairs until a verdict stands, or the pairs are spent.

    Args:
        contest: what to compare.
        store: where launches go, and where an unfinished run of the same is looked for.
        target: where to launch.
        rules: how to judge.
        family: of how many comparisons this is one: they share the level (C. E. Bonferroni, 1936).
        cpus: logical CPUs to stay on; empty leaves it to the system.
        seed: of the coin.
        even_if_same: measure a file against itself, too.
        command: the command line that makes it again.
        fresh: begin anew even if an unfinished run of the same exists.
        on_event: called with everything that happens.

    Raises:
        GroundspeedError: as in ``pipeline.run``. That a file cannot be run is a verdict.
    """
    if contest.is_same and not even_if_same:
        return Comparison(
            contest=contest,
            device=target.name,
            verdict=Verdict.PASS,
            problem="candidate and baseline are the same file, to the last byte",
        )
    known = {one.id: one for one in (contest.baseline, contest.candidate)}
    level, test = rules.level / family, sequential_test(rules)

    def decided(launches: Sequence[Sequence[StoredLaunch]]) -> bool:
        old, new = (_medians(each) for each in launches)
        logs = log_ratios(old, new)
        if any(_failures(each) >= GIVE_UP_AFTER for each in launches):
            return True
        if len(logs) not in test.looks(rules.pairs):
            return False
        seen = test.examine(logs, most=rules.pairs, level=level)
        return judge(seen, rules.margin) is not Verdict.INCONCLUSIVE

    result = execute(
        plan_of(contest, target, pairs=rules.pairs, cpus=cpus, seed=seed),
        store=store,
        target=target,
        export_one=lambda cell: known[cell.artifact_id],
        command=command,
        fresh=fresh,
        on_event=on_event,
        decided=decided,
    )
    return conclude(contest, result, rules, family=family)


def plan_of(
    contest: Contest,
    target: Target,
    *,
    pairs: int,
    cpus: tuple[int, ...] = (),
    seed: int = 0,
) -> Plan:
    """Return what a comparison launches at most; see :func:`compare`."""
    return Plan(
        cells=contest.cells,
        settings=replace(
            LAUNCHES,
            min_rounds=pairs,
            max_rounds=pairs,
            turn_s=turn_s(contest.candidate),
            cpus=cpus,
            seed=_coin(contest, seed),
        ),
        target=target.name,
        machine_id=machine_id(target.facts()),
    )


def conclude(contest: Contest, result: RunResult, rules: Rules, *, family: int) -> Comparison:
    """Return what the launches of a comparison come to; see :func:`compare`."""
    old, new = result.cells
    device = result.run.plan.target
    for cell, verdict, who in (
        (new, Verdict.FAIL, "the candidate"),
        (old, Verdict.INCONCLUSIVE, "the baseline"),
    ):
        if reason := _cannot_run(cell):
            return Comparison(
                contest=contest,
                device=device,
                verdict=verdict,
                result=result,
                problem=f"{who} cannot be run: {reason}",
            )
    level, test = rules.level / family, sequential_test(rules)
    logs = log_ratios(old.medians_ns, new.medians_ns)
    seen = test.examine(logs, most=rules.pairs, level=level)
    smallest = None
    if seen.pairs > 1:
        smallest = test.smallest(seen.deviation, pairs=rules.pairs, level=level)
    return Comparison(
        contest=contest,
        device=device,
        verdict=judge(seen, rules.margin),
        evidence=seen,
        is_faster=seen.high < 0.0,
        smallest=smallest,
        pair_s=_pair_s(result),
        result=result,
    )


def slowdown_level(comparison: Comparison, rules: Rules) -> float:
    """Return the p-value of "not slower", 1 where nothing was measured.

    A candidate that cannot be run has 0.
    """
    if comparison.result is None or comparison.evidence is None:
        return 0.0 if comparison.verdict is Verdict.FAIL else 1.0
    logs = log_ratios(*(cell.medians_ns for cell in comparison.result.cells))
    return least_level(sequential_test(rules), logs, 0.0, most=rules.pairs, sign=1)


def log_ratios(old_ns: Mapping[int, float], new_ns: Mapping[int, float]) -> list[float]:
    """Return the logarithm of new over old for each round in which both have a result."""
    rounds = sorted(old_ns.keys() & new_ns.keys())
    return [math.log(new_ns[round] / old_ns[round]) for round in rounds]


def turn_s(artifact: Artifact) -> float:
    """Return how long launches of a file compute before they change places."""
    inference_s = sum(op.macs for op in artifact.manifest.ops) / MACS_PER_S
    return max(LEAST_TURN_S, round(INFERENCES_A_TURN * inference_s, 1))


def _shapes(artifact: Artifact) -> list[list[int]]:
    return [list(spec.shape) for spec in artifact.manifest.inputs]


def _coin(contest: Contest, seed: int) -> int:
    text = " ".join(
        [contest.baseline.id, contest.candidate.id, f"{contest.threads} {seed}", *contest.packages]
    )
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def _medians(launches: Sequence[StoredLaunch]) -> dict[int, float]:
    return {one.round: median(one.launch.samples_ns) for one in launches if one.launch is not None}


def _failures(launches: Sequence[StoredLaunch]) -> int:
    return sum(one.error is not None for one in launches)


def _cannot_run(cell: CellResult) -> str:
    if _failures(cell.stored) >= GIVE_UP_AFTER or not cell.launches:
        return "; ".join(cell.failures) or "no launch gave a result"
    return ""


def _pair_s(result: RunResult) -> float | None:
    spent = [sum(one.duration_s for one in cell.stored) for cell in result.cells]
    pairs = min(len(cell.stored) for cell in result.cells)
    return sum(spent) / pairs if pairs else None
