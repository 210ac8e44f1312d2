"""What patterns cost, proved: the network without each is measured beside the network itself.

Network and variants are one stored run: a launch of each makes a round, by turns where the target
can, and differences are taken within rounds. How many rounds there are is decided by the time that
they take, never by what they show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundspeed.artifact import Artifact
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.detect import Detected
from groundspeed.deploy.feedback.experiment import LEAST_ROUNDS, Experiment
from groundspeed.deploy.feedback.finding import Counterfactual, Finding
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.feedback.variants import Variant, vary
from groundspeed.deploy.pipeline import execute
from groundspeed.deploy.plan import Plan, Settings
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import ExportError

BUDGET_S = 300.0
LAUNCHES = Settings(max_rounds=40, min_seconds=0.5, max_samples=20_000, max_warmup_seconds=2.0)
# Patterns are chosen so that there is time for as many. With ten patterns and the same scatter, an
# interval from 10 rounds is half as wide as one from 5, and one from 20 rounds a third.
ROUNDS = 10

START_S = 0.7  # until an agent has loaded its engine and a file
WARMUP_INFERENCES = 30

TURN_S = 0.1
INFERENCES_A_TURN = 20  # one in twenty that takes too long does not move a median much


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Findings with what their counterfactuals showed.

    Attributes:
        findings: in the order given.
        run: the launches; None when none were made.
    """

    findings: tuple[Finding, ...]
    run: RunResult | None


def prove(
    scene: Scene,
    found: Sequence[Detected],
    *,
    exporter: Exporter,
    original: Artifact,
    store: Store,
    target: Target,
    budget_s: float = BUDGET_S,
    settings: Settings = LAUNCHES,
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
) -> Proof:
    """Measure what patterns cost, as many as there is time for.

    Args:
        scene: where they were found.
        found: the patterns, the most promising first, as ``detect`` returns them.
        exporter: wrote the network; the networks without each pattern are written in the same way.
        original: the file that the scene is of.
        store: where launches go, and where an unfinished run of the same is looked for.
        target: where to measure; by turns where it can.
        budget_s: about how long launches may take, in seconds: what there is time for is measured
            in five rounds at least. Making the files comes on top.
        settings: how to launch; how many rounds there are follows from the budget.
        command: the command line that makes the run again, for reports.
        fresh: begin anew even if an unfinished run of the same exists.
        on_event: called with everything that happens.

    Raises:
        GroundspeedError: as in ``pipeline.run``. That a pattern cannot be taken out, or that the
            network without it cannot be written or run, is part of the finding.
    """
    asked = _asked(scene, settings, budget_s)
    room = math.floor(budget_s / (ROUNDS * _launch_s(scene, asked)))
    variants, outcomes = _chosen(scene, found, exporter, room, asked.seed)
    run = None
    if variants:
        experiment = Experiment(scene, original, variants)
        run = execute(
            Plan(
                cells=tuple(experiment.cells),
                settings=asked,
                target=target.name,
                machine_id=machine_id(target.facts()),
            ),
            store=store,
            target=target,
            export_one=experiment.write,
            command=command,
            fresh=fresh,
            on_event=on_event,
        )
        outcomes |= experiment.outcomes(run)
    findings = (_proved(one.finding, outcomes[one.pattern.name]) for one in found)
    return Proof(findings=tuple(findings), run=run)


def _proved(finding: Finding, outcome: Counterfactual | str) -> Finding:
    if isinstance(outcome, str):
        return replace(finding, untried=outcome)
    return replace(finding, counterfactual=outcome)


def _asked(scene: Scene, settings: Settings, budget_s: float) -> Settings:
    return replace(
        settings,
        half_width=0.0,
        max_seconds=budget_s,
        sure_rounds=LEAST_ROUNDS,
        profile_runs=0,
        turn_s=turn_s(scene.breakdown.plain.ns / 1e9),
    )


def turn_s(inference_s: float) -> float:
    """Return how long launches of a network compute before they change places.

    In steps of two, so that an interrupted run finds the same when it goes on.
    """
    longer = max(1.0, INFERENCES_A_TURN * inference_s / TURN_S)
    return TURN_S * 2.0 ** math.ceil(math.log2(longer))


def _launch_s(scene: Scene, settings: Settings) -> float:
    """Return about how long one launch takes."""
    inference_s = scene.breakdown.plain.ns / 1e9
    sampling_s = min(
        max(settings.min_seconds, settings.min_samples * inference_s),
        settings.max_samples * inference_s,
    )
    warmup_s = min(settings.max_warmup_seconds, WARMUP_INFERENCES * inference_s)
    return START_S + warmup_s + sampling_s


def _chosen(
    scene: Scene, found: Sequence[Detected], exporter: Exporter, room: int, seed: int
) -> tuple[list[Variant], dict[str, Counterfactual | str]]:
    """Return what there is time for, and why other patterns are left out.

    There is ``room`` for so many files, the network's own among them.
    """
    variants: list[Variant] = []
    left_out: dict[str, Counterfactual | str] = {}
    room -= 1
    for one in found:
        name = one.pattern.name
        left_out[name] = "the budget has no time for it beside costlier patterns; allow more"
        try:  # even without room: that more time would not help is worth knowing
            variant = vary(scene, one, exporter, seed=seed)
        except ExportError as error:
            left_out[name] = str(error)
            continue
        if len(variant.exporters) <= room:
            room -= len(variant.exporters)
            variants.append(variant)
    return variants, left_out
