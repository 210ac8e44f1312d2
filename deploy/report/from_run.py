"""A stored run as the data of a report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from groundspeed import __version__
from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.feedback.guidelines.stored import Answered
from groundspeed.deploy.plan import Cell as PlannedCell
from groundspeed.deploy.report.content import Failure, Measured, ReportData
from groundspeed.deploy.results import CellResult, RunResult


def report_data(
    result: RunResult,
    findings: Mapping[PlannedCell, tuple[Finding, ...]] | None = None,
    guidelines: Answered | None = None,
) -> ReportData:
    """Return everything that a report of a run shows.

    Args:
        result: the run.
        findings: what costs its cells time without need, where somebody looked.
        guidelines: what the device said to them, where somebody asked.
    """
    known = findings or {}
    measured = [_measured(cell, known.get(cell.cell)) for cell in result.cells]
    return ReportData(
        measured=tuple(filter(None, measured)),
        failures=tuple(failure for cell in result.cells for failure in _failures(cell)),
        guidelines=guidelines,
        command=result.run.command,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
    )


def _measured(result: CellResult, findings: tuple[Finding, ...] | None) -> Measured | None:
    # A cell that was only profiled has the samples of that launch, taken before the profile.
    launches = result.launches or ((result.profile,) if result.profile else ())
    if result.artifact is None or not launches:
        return None
    return Measured(
        network=result.cell.network.name,
        runtime=result.cell.runtime,
        precision=result.cell.precision,
        threads=result.cell.threads,
        manifest=result.artifact.manifest,
        launches=launches,
        profile=result.profile,
        evaluation=result.evaluation,
        findings=findings,
    )


def _failures(result: CellResult) -> list[Failure]:
    cell = result.cell
    network = cell.network.name
    failures = [
        Failure(network=network, what=f"measure {cell}", reason=reason)
        for reason in result.failures
    ]
    if result.export_error is not None:
        what = f"export for {cell.runtime}, {cell.precision}"
        failures.append(Failure(network=network, what=what, reason=result.export_error))
    if result.evaluation is not None and result.evaluation.error is not None:
        what = f"evaluate {cell}"
        failures.append(Failure(network=network, what=what, reason=result.evaluation.error))
    return failures
