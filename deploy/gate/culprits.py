"""Why a comparison failed: what differs between the two files, and in which modules the time went.

Attributed time is what a profiler saw op by op. It is not latency, and the sum of its changes need
not be the whole slowdown; it says where to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from groundspeed.artifact import Manifest
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.feedback.breakdown import Time, break_down
from groundspeed.deploy.feedback.differences import mean_difference
from groundspeed.deploy.gate.comparing import Contest, plan_of
from groundspeed.deploy.pipeline import execute
from groundspeed.deploy.results import CellResult
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target

ROUNDS = 8  # profile launches of either file
RUNS = 100  # profiled inferences of each


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A module whose ops take another time than they did.

    Attributes:
        module: dotted path, "" for what is in no module.
        line: ``file:line`` of the candidate's source; of the baseline's where it has none now.
        old_ns: what its own ops took in the baseline, those of its submodules not among them; 0
            when there were none.
        new_ns: the same in the candidate.
        difference: new minus old, with an interval that holds for all modules together.
    """

    module: str
    line: str
    old_ns: float
    new_ns: float
    difference: Time


@dataclass(frozen=True, kw_only=True)
class Culprits:
    """What is known about why a candidate is slower.

    Attributes:
        changed: what differs between the files: "network", and packages that made them.
        moved: modules that are slower or faster beyond doubt, the largest change first.
        slower_ns: sum of all modules' changes.
        problem: why no module can be named; "" when some could have been.
    """

    changed: tuple[str, ...]
    moved: tuple[Moved, ...] = ()
    slower_ns: float = 0.0
    problem: str = ""


def culprits(
    contest: Contest,
    *,
    store: Store,
    target: Target,
    cpus: tuple[int, ...] = (),
    command: str = "",
    on_event: OnEvent | None = None,
) -> Culprits:
    """Profile both files in turn, and return what differs between them.

    Args:
        contest: the files.
        store: where the profiles go.
        target: where to launch.
        cpus: logical CPUs to stay on; empty leaves it to the system.
        command: the command line that makes it again.
        on_event: called with everything that happens.

    Raises:
        GroundspeedError: as in ``pipeline.run``.
    """
    known = {one.id: one for one in (contest.baseline, contest.candidate)}
    plan = plan_of(contest, target, pairs=1, cpus=cpus)
    result = execute(
        replace(
            plan,
            settings=replace(plan.settings, profile_runs=RUNS, profile_rounds=ROUNDS, turn_s=0.0),
        ),
        store=store,
        target=target,
        export_one=lambda cell: known[cell.artifact_id],
        command=command,
        on_event=on_event,
    )
    old, new = result.cells
    changed = changes(contest.baseline.manifest, contest.candidate.manifest)
    rounds = sorted(_modules(old).keys() & _modules(new).keys())
    if len(rounds) < ROUNDS // 2:
        reasons = "; ".join([*old.failures, *new.failures]) or "no profile gave a result"
        return Culprits(changed=changed, problem=f"the files cannot be profiled: {reasons}")
    moved = _moved(
        [_modules(old)[round] for round in rounds],
        [_modules(new)[round] for round in rounds],
        _lines(old) | _lines(new),
    )
    shown = [one for one in moved if one.difference.low_ns > 0 or one.difference.high_ns < 0]
    return Culprits(
        changed=changed,
        moved=tuple(sorted(shown, key=lambda one: -abs(one.difference.ns))),
        slower_ns=sum(one.difference.ns for one in moved),
    )


def changes(old: Manifest, new: Manifest) -> tuple[str, ...]:
    """Return what differs between how two files came about.

    Both run in the same runtime, of today, so that it is never among them.
    """
    found = ["the network"] if old.source.digest != new.source.digest or old.ops != new.ops else []
    before, now = _packages(old), _packages(new)
    found += [
        f"{name} (was {before.get(name, 'not used')}, is {now.get(name, 'not used')})"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    return tuple(found)


def _packages(manifest: Manifest) -> dict[str, str]:
    return {
        name: version for step in manifest.steps for name, _, version in [step.by.partition(" ")]
    }


def _modules(cell: CellResult) -> dict[int, dict[str, float]]:
    """Return for each round what each module's own ops took, in nanoseconds."""
    assert cell.artifact is not None
    manifest = cell.artifact.manifest
    return {
        one.round: {
            row.path: row.own_ns for row in break_down(manifest, one.launch.profile).modules
        }
        for one in cell.stored
        if one.action == "profile" and one.launch is not None and one.launch.profile is not None
    }


def _lines(cell: CellResult) -> dict[str, str]:
    assert cell.artifact is not None
    profile = cell.profile
    if profile is None or profile.profile is None:
        return {}
    rows = break_down(cell.artifact.manifest, profile.profile).modules
    return {row.path: row.line for row in rows}


def _moved(
    old: list[dict[str, float]], new: list[dict[str, float]], lines: Mapping[str, str]
) -> list[Moved]:
    modules = list(dict.fromkeys(path for launch in (*old, *new) for path in launch))
    found = []
    for module in modules:
        before = [launch.get(module, 0.0) for launch in old]
        now = [launch.get(module, 0.0) for launch in new]
        differences = [after - prior for prior, after in zip(before, now, strict=True)]
        found.append(
            Moved(
                module=module,
                line=lines.get(module, ""),
                old_ns=sum(before) / len(before),
                new_ns=sum(now) / len(now),
                difference=mean_difference(differences, comparisons=len(modules)),
            )
        )
    return found
