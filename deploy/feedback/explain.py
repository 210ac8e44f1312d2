"""Everything that feedback knows of a network: measured, profiled, searched, and proved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.counterfactual import BUDGET_S, LAUNCHES, prove
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.feedback.guidelines.stored import Answered, latest
from groundspeed.deploy.feedback.notes import Explained, Notes
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.plan import Cell, Plan, Settings, product
from groundspeed.deploy.report.content import ReportData
from groundspeed.deploy.report.from_run import report_data
from groundspeed.deploy.report.page import write_page
from groundspeed.deploy.results import CellResult, RunResult, read
from groundspeed.deploy.running import Work, measure
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import ExportError, LaunchError

# All findings rest on one profile, so it is chosen among several.
SETTINGS = Settings(profile_rounds=3)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What costs the cells of a run their time.

    Attributes:
        result: the run, with a profile of each cell.
        cells: in the order of the run.
        guidelines: what the device said to them when it was last asked; None if nobody did.
        page: the report.
    """

    result: RunResult
    cells: tuple[Explained, ...]
    guidelines: Answered | None
    page: Path

    @property
    def findings(self) -> dict[Cell, tuple[Finding, ...]]:
        """Cell -> what was found in it, for those that could be looked into."""
        pairs = zip(self.result.cells, self.cells, strict=True)
        return {cell.cell: one.findings for cell, one in pairs if not one.unexplained}

    @property
    def report(self) -> ReportData:
        """All of it as the data of a report."""
        return report_data(self.result, self.findings, self.guidelines)


def explain(
    work: Work,
    *,
    store: Store,
    target: Target,
    settings: Settings | None = None,
    budget_s: float = BUDGET_S,
    report: Path | None = None,
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
) -> Explanation:
    """Measure and profile networks, find the patterns in them, and prove what these cost.

    An interrupted explanation goes on where it was, between its runs and within them.

    Args:
        work: what to explain.
        store: where all of it goes.
        target: the machine to measure on.
        settings: how to measure latency and per-op times.
        budget_s: seconds for the counterfactuals of all cells together; 0 makes none.
        report: where the page goes; by default ``explanation-<run>.html`` in the store.
        command: the command line that makes it again.
        fresh: begin anew even if an unfinished run of the same plan exists.
        on_event: called with everything that happens.

    Raises:
        GroundspeedError: as in ``pipeline.run``.
    """
    settings = settings or SETTINGS
    result = (None if fresh else _begun(work, store, target, settings, command)) or measure(
        work,
        store=store,
        target=target,
        settings=settings,
        command=command,
        fresh=fresh,
        on_event=on_event,
    )
    notes = Notes.of(store, result.run.id)
    for cell in result.cells[len(notes.cells) :]:
        notes.add(
            _explained(
                work.exporters[cell.cell.network],
                cell,
                store=store,
                target=target,
                budget_s=budget_s / len(result.cells),
                settings=replace(LAUNCHES, cpus=settings.cpus),
                command=command,
                fresh=fresh,
                on_event=on_event,
            )
        )
    explanation = Explanation(
        result=result,
        cells=notes.cells,
        guidelines=latest(store, result.run.plan.machine_id),
        page=report or store.folder / f"explanation-{result.run.id}.html",
    )
    write_page(explanation.report, explanation.page)
    return explanation


def _explained(
    exporter: Exporter,
    cell: CellResult,
    *,
    store: Store,
    target: Target,
    budget_s: float,
    settings: Settings,
    command: str,
    fresh: bool,
    on_event: OnEvent | None,
) -> Explained:
    """Look into one cell, and prove what was found if there is a budget."""
    try:
        scene = _scene(exporter, cell)
    except (ExportError, LaunchError) as error:
        return Explained(unexplained=str(error))
    found = detect(scene)
    if not budget_s or not found:
        return Explained(findings=tuple(one.finding for one in found))
    assert cell.artifact is not None
    proof = prove(
        scene,
        found,
        exporter=exporter,
        original=cell.artifact,
        store=store,
        target=target,
        budget_s=budget_s,
        settings=settings,
        command=command,
        fresh=fresh,
        on_event=on_event,
    )
    return Explained(findings=proof.findings, run=proof.run.run.id if proof.run else None)


def _begun(
    work: Work, store: Store, target: Target, settings: Settings, command: str
) -> RunResult | None:
    """Return a run like this that is measured, but whose explanation was interrupted."""
    plan = Plan(
        cells=product(work.exporters, work.runtimes, work.precisions, work.threads),
        settings=replace(settings, exporting=work.exporting),
        target=target.name,
        machine_id=machine_id(target.facts()),
    )
    for run in reversed(store.runs()):
        if run.finished_at is not None and run.command == command and run.plan == plan:
            begun = read(store, run.id)
            if len(Notes.of(store, run.id).cells) < len(begun.cells):
                return begun
    return None


def _scene(exporter: Exporter, cell: CellResult) -> Scene:
    """Return the scene of a cell.

    Raises:
        LaunchError: it was not launched, or its runtime gave no times of its ops.
        ExportError: it is a graph that is no torch network.
    """
    if cell.artifact is None or cell.profile is None:
        reasons = [cell.export_error, *cell.failures]
        raise LaunchError(next(filter(None, reasons), "it has no profile"))
    program = exporter.canonical(cell.cell.precision)
    return Scene.of(program, cell.artifact.manifest, cell.profile, cell.cell.threads)
