"""Why a comparison failed: what differs between the two files, and in which modules the time went.

Attributed time is what a profiler saw op by op. It is not latency, and the sum of its changes need
not be the whole slowdown; it says where to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.feedback.breakdown import Time, break_down
from groundspeed.deploy.feedback.differences import mean_difference
from groundspeed.deploy.gate.comparing import Contest, plan_of
from groundspeed.deploy.gate.origins import Origins
from groundspeed.deploy.gate.split import Split, factors, split
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
        changed: what differs between the two as they are launched.
        split: what each of these did to the latency; None where there is but one, or nobody asked.
        moved: modules that are slower or faster beyond doubt, the largest change first.
        slower_ns: sum of all modules' changes.
        problem: why no module can be named; "" when some could have been.
    """

    changed: tuple[str, ...]
    split: Split | None = None
    moved: tuple[Moved, ...] = ()
    slower_ns: float = 0.0
    problem: str = ""


def culprits(
    contest: Contest,
    *,
    store: Store,
    target: Target,
    origins: Origins | None = None,
    cpus: tuple[int, ...] = (),
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
    on_progress: Callable[[str], None] = lambda words: None,
) -> Culprits:
    """Tell apart what changed, profile both files in turn, and return what differs between them.

    Args:
        contest: the files.
        store: where launches go.
        target: where to launch.
        origins: where files come from that tell several changes apart; None leaves them together.
        cpus: logical CPUs to stay on; empty leaves it to the system.
        command: the command line that makes it again.
        fresh: begin anew even if an unfinished run of the same exists.
        on_event: called with everything that happens.
        on_progress: called with a sentence about what takes long.

    Raises:
        GroundspeedError: as in ``pipeline.run``.
    """
    changed = tuple(map(str, factors(contest)))
    apart = None
    if origins is not None and len(changed) > 1:
        apart = split(
            contest,
            origins,
            store=store,
            target=target,
            cpus=cpus,
            command=command,
            fresh=fresh,
            on_event=on_event,
            on_progress=on_progress,
        )
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
        fresh=fresh,
        on_event=on_event,
    )
    old, new = result.cells
    rounds = sorted(_modules(old).keys() & _modules(new).keys())
    if len(rounds) < ROUNDS // 2:
        reasons = "; ".join([*old.failures, *new.failures]) or "no profile gave a result"
        return Culprits(
            changed=changed, split=apart, problem=f"the files cannot be profiled: {reasons}"
        )
    moved = _moved(
        [_modules(old)[round] for round in rounds],
        [_modules(new)[round] for round in rounds],
        _lines(old) | _lines(new),
    )
    shown = [one for one in moved if one.difference.low_ns > 0 or one.difference.high_ns < 0]
    return Culprits(
        changed=changed,
        split=apart,
        moved=tuple(sorted(shown, key=lambda one: -abs(one.difference.ns))),
        slower_ns=sum(one.difference.ns for one in moved),
    )


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
