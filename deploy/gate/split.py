"""Which of several changes made a candidate slower: all combinations of old and new, side by side.

The network, the packages that made its file, and the runtime's own version may have changed
together. Every combination that can be had is launched, in rounds of one run. What a change did is
the mean over all pairs of combinations that differ in it alone: its main effect (R. A. Fisher, The
Design of Experiments, 1935, chapter 6). Effects add up to the whole change, but for what changes do
to each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from groundspeed.artifact import Artifact
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.gate.comparing import Contest, log_ratios, plan_of
from groundspeed.deploy.gate.origins import Files, Origins
from groundspeed.deploy.packages import installed, name_and_version
from groundspeed.deploy.pipeline import execute
from groundspeed.deploy.plan import Cell
from groundspeed.deploy.results import CellResult
from groundspeed.deploy.statistics import CONFIDENCE, t_interval
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import GroundspeedError

ROUNDS = 10
NETWORK, PACKAGES, RUNTIME = "the network", "the packages that made the files", "the runtime"

# Which of the changes are made, each False for old and True for new.
Made = tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class Factor:
    """Something that changed.

    Attributes:
        name: NETWORK, PACKAGES or RUNTIME.
        change: what became of it: "onnxruntime was 1.31.0, is 1.32.0"; "" for a network.
    """

    name: str
    change: str = ""

    def __str__(self) -> str:
        """Return its name, and what became of it."""
        return f"{self.name} ({self.change})" if self.change else self.name


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What one change did to the latency; numbers are logarithms of ratios, new over old.

    Attributes:
        factor: what changed.
        estimate: mean over the pairs of combinations that differ in it alone.
        low, high: its interval, which holds for all effects together (Bonferroni).
    """

    factor: Factor
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Split:
    """How a slowdown divides among the changes.

    Attributes:
        effects: of those that could be told apart, the largest first.
        rounds: launches of each combination.
        combinations: how many were launched.
        missing: which combinations could not be had, and why.
    """

    effects: tuple[Effect, ...] = ()
    rounds: int = 0
    combinations: int = 0
    missing: tuple[str, ...] = ()


def factors(contest: Contest) -> tuple[Factor, ...]:
    """Return what differs between baseline and candidate, as they are launched."""
    old, new = contest.baseline.manifest, contest.candidate.manifest
    found = []
    if old.source.digest != new.source.digest:
        found.append(Factor(name=NETWORK))
    before, now = old.packages, new.packages
    if changed := [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]:
        words = [
            f"{name} was {before.get(name, 'not used')}, is {now.get(name, 'not used')}"
            for name in changed
        ]
        found.append(Factor(name=PACKAGES, change=", ".join(words)))
    words = [
        f"{name} was {then}, is {installed(name) or 'of another name'}"
        for name, then in map(name_and_version, contest.packages)
        if then != installed(name)
    ]
    if words:
        found.append(Factor(name=RUNTIME, change=", ".join(words)))
    return tuple(found)


def split(
    contest: Contest,
    origins: Origins,
    *,
    store: Store,
    target: Target,
    cpus: tuple[int, ...] = (),
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
    on_progress: Callable[[str], None] = lambda words: None,
) -> Split:
    """Launch all combinations of what changed, and return what each change did.

    Args:
        contest: baseline and candidate; more than one thing differs between them.
        origins: where other files come from.
        store: where files and launches go.
        target: where to launch.
        cpus: logical CPUs to stay on; empty leaves it to the system.
        command: the command line that makes it again.
        fresh: begin anew even if an unfinished run of the same exists.
        on_event: called with everything that happens.
        on_progress: called with a sentence about what takes long.

    Raises:
        GroundspeedError: as in ``pipeline.run``. That a combination cannot be had is a finding.
    """
    changed = factors(contest)
    cells: dict[Made, Cell] = {}
    files: dict[str, Artifact] = {}
    missing: dict[str, None] = {}
    makers = Files(contest, origins, store, on_progress)
    for made in itertools.product((False, True), repeat=len(changed)):
        new = dict(zip((factor.name for factor in changed), made, strict=True))
        try:
            file = makers.file(network=new.get(NETWORK, True), packages=new.get(PACKAGES, True))
        except GroundspeedError as error:
            missing[str(error)] = None
            continue
        files[file.id] = file
        cells[made] = contest.cell(file, () if new.get(RUNTIME, True) else contest.packages)
    plan = plan_of(contest, target, pairs=ROUNDS, cpus=cpus)
    result = execute(
        replace(plan, cells=tuple(cells.values())),
        store=store,
        target=target,
        export_one=lambda cell: files[cell.artifact_id],
        command=command,
        fresh=fresh,
        on_event=on_event,
    )
    launched = {}
    for made, cell in zip(cells, result.cells, strict=True):
        if len(cell.medians_ns) > 1:
            launched[made] = cell
        else:
            reason = "; ".join(cell.failures) or "no launch gave a result"
            missing[f"{cell.cell} cannot be run: {reason}"] = None
    return Split(
        effects=_effects(changed, launched),
        rounds=ROUNDS,
        combinations=len(launched),
        missing=tuple(missing),
    )


def _effects(changed: Sequence[Factor], launched: Mapping[Made, CellResult]) -> tuple[Effect, ...]:
    """Return the main effect of each change that some pair of combinations shows."""
    found = []
    for place, factor in enumerate(changed):
        pairs = [
            (launched[made], launched[after])
            for made in launched
            if not made[place] and (after := _with(made, place)) in launched
        ]
        logs = _by_rounds(pairs)
        if len(logs) < 2:
            continue
        low, high = t_interval(logs, 1 - (1 - CONFIDENCE) / len(changed))
        found.append(
            Effect(factor=factor, estimate=math.fsum(logs) / len(logs), low=low, high=high)
        )
    return tuple(sorted(found, key=lambda effect: -effect.estimate))


def _with(made: Made, place: int) -> Made:
    return (*made[:place], True, *made[place + 1 :])


def _by_rounds(pairs: Sequence[tuple[CellResult, CellResult]]) -> list[float]:
    """Return for each round in which all pairs have results the mean of their logarithms."""
    medians = [(old.medians_ns, new.medians_ns) for old, new in pairs]
    if not medians:
        return []
    rounds = set.intersection(*(old.keys() & new.keys() for old, new in medians))
    return [
        math.fsum(log_ratios({0: old[each]}, {0: new[each]})[0] for old, new in medians)
        / len(medians)
        for each in sorted(rounds)
    ]
