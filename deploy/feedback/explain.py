"""Everything that feedback knows of a network: measured, profiled, searched, and proved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.counterfactual import BUDGET_S, LAUNCHES, prove
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.pipeline import execute
from groundspeed.deploy.plan import Cell, Plan, Settings, product
from groundspeed.deploy.report.from_run import report_data
from groundspeed.deploy.report.page import write_page
from groundspeed.deploy.results import CellResult, RunResult, read
from groundspeed.deploy.running import Work
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.target import Target
from groundspeed.documents import dump, write_atomically
from groundspeed.errors import ExportError, LaunchError


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What costs the cells of a run their time.

    Attributes:
        result: the run, with a profile of each cell.
        findings: cell -> what was found, the costliest by the profile first.
        unexplained: cell -> why nobody could look.
        runs: numbers of the runs of counterfactuals.
        page: the report.
    """

    result: RunResult
    findings: Mapping[Cell, tuple[Finding, ...]]
    unexplained: Mapping[Cell, str]
    runs: tuple[int, ...]
    page: Path


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
    settings = replace(settings or Settings(), exporting=work.exporting)
    result = _measured(
        work,
        store=store,
        target=target,
        settings=settings,
        command=command,
        fresh=fresh,
        on_event=on_event,
    )
    findings: dict[Cell, tuple[Finding, ...]] = {}
    unexplained: dict[Cell, str] = {}
    runs = []
    for cell in result.cells:
        try:
            scene = _scene(work.exporters[cell.cell.network], cell)
        except (ExportError, LaunchError) as error:
            unexplained[cell.cell] = str(error)
            continue
        found = detect(scene)
        assert cell.artifact is not None
        if budget_s and found:
            proof = prove(
                scene,
                found,
                exporter=work.exporters[cell.cell.network],
                original=cell.artifact,
                store=store,
                target=target,
                budget_s=budget_s / len(result.cells),
                settings=replace(LAUNCHES, cpus=settings.cpus),
                command=command,
                fresh=fresh,
                on_event=on_event,
            )
            findings[cell.cell] = proof.findings
            runs += [proof.run.run.id] if proof.run else []
        else:
            findings[cell.cell] = tuple(one.finding for one in found)
    explanation = Explanation(
        result=result,
        findings=findings,
        unexplained=unexplained,
        runs=tuple(runs),
        page=report or store.folder / f"explanation-{result.run.id}.html",
    )
    write_page(report_data(result, findings), explanation.page)
    write_atomically(_document(store, result.run.id), dump(_plain(explanation)))
    return explanation


def _measured(
    work: Work,
    *,
    store: Store,
    target: Target,
    settings: Settings,
    command: str,
    fresh: bool,
    on_event: OnEvent | None,
) -> RunResult:
    """Return the run that findings rest on: one whose explanation was interrupted, or a new one."""
    plan = Plan(
        cells=product(work.exporters, work.runtimes, work.precisions, work.threads),
        settings=settings,
        target=target.name,
        machine_id=machine_id(target.facts()),
    )
    for run in [] if fresh else store.runs():
        unused = run.finished_at is not None and not _document(store, run.id).exists()
        if unused and run.command == command and run.plan == plan:
            return read(store, run.id)
    return execute(
        plan,
        store=store,
        target=target,
        export_one=partial(
            work.maker.make,
            store=store,
            target=target,
            threads=work.threads[0],
            cpus=settings.cpus,
        ),
        command=command,
        fresh=fresh,
        on_event=on_event,
    )


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


def _document(store: Store, run_id: int) -> Path:
    return store.folder / f"explanation-{run_id}.json"


def _plain(explanation: Explanation) -> dict[str, object]:
    return {
        "run": explanation.result.run.id,
        "counterfactual_runs": explanation.runs,
        "findings": {str(cell): found for cell, found in explanation.findings.items()},
        "unexplained": {str(cell): why for cell, why in explanation.unexplained.items()},
    }
