"""How run, bench, profile and report show a run: the terminal's short form, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from groundspeed.deploy.cli.output import console, print_json
from groundspeed.deploy.results import CellResult, RunResult


def show(result: RunResult, *, as_json: bool, report: Path | None = None) -> int:
    """Print a run and return the exit code: 1 when a launch or an export failed."""
    if as_json:
        print_json(plain(result) | ({"report": report} if report else {}))
    else:
        from groundspeed.deploy.report.from_run import report_data
        from groundspeed.deploy.report.terminal import summary

        out = console()
        out.print(summary(report_data(result)))
        if report is not None:
            out.print(f"report: {report}", soft_wrap=True, markup=False)
    failed = result.failed or any(cell.export_error for cell in result.cells)
    return 1 if failed else 0


def plain(result: RunResult) -> dict[str, Any]:
    """Return a run as a dictionary for machines; durations are nanoseconds."""
    return {
        "run": result.run.id,
        "started_at": result.run.started_at,
        "finished_at": result.run.finished_at,
        "stopped": result.run.stopped,
        "cells": [_cell(cell) for cell in result.cells],
    }


def _cell(result: CellResult) -> dict[str, Any]:
    artifact = result.artifact
    return {
        "network": result.cell.network.name,
        "runtime": result.cell.runtime,
        "precision": result.cell.precision,
        "threads": result.cell.threads,
        "artifact": artifact.id if artifact else None,
        "size_bytes": artifact.size_bytes if artifact else None,
        "parity": artifact.manifest.parity if artifact else None,
        "export_error": result.export_error,
        "failures": result.failures,
        "accuracy": _accuracy(result),
        "launches": len(result.launches),
        "latency": result.latency,
        "breakdown": _breakdown(result),
    }


def _accuracy(result: CellResult) -> dict[str, Any] | None:
    stored = result.evaluation
    if stored is None:
        return None
    evaluation, scored = stored.evaluation, stored.scored
    return {
        "data": evaluation.data if evaluation else None,
        "samples": evaluation.samples if evaluation else None,
        "reference": evaluation.reference if evaluation else None,
        "top1": scored.top1 if scored else None,
        "top5": scored.top5 if scored else None,
        "agreement": scored.agreement if scored else None,
        "lost": scored.lost if scored else None,
        "gained": scored.gained if scored else None,
        "sqnr_db": scored.sqnr_db if scored else None,
        "error": stored.error,
    }


def _breakdown(result: CellResult) -> Any:
    from groundspeed.deploy.breakdown import break_down

    profile = result.profile.profile if result.profile else None
    if profile is None or result.artifact is None:
        return None
    return break_down(result.artifact.manifest, profile)
