"""How run, bench, profile and report show a run: the terminal's short form, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from groundspeed.deploy.cli.output import console, print_json
from groundspeed.deploy.devices.pool import Outcome
from groundspeed.deploy.results import CellResult, RunResult


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a command has to show of one device: its run, and the page of it if one was written."""

    result: RunResult
    report: Path | None = None


def show(outcomes: Sequence[Outcome[Shown]], *, as_json: bool) -> int:
    """Print what came of each device and return the exit code.

    Returns:
        That of the first error, else 1 when a launch or an export failed, else 0.
    """
    if as_json:
        print_json(_plain(outcomes))
    else:
        _print(outcomes)
    codes = [outcome.error.exit_code for outcome in outcomes if outcome.error is not None]
    runs = [outcome.result.result for outcome in outcomes if outcome.result is not None]
    codes += [1 for run in runs if run.failed or any(cell.export_error for cell in run.cells)]
    return codes[0] if codes else 0


def _print(outcomes: Sequence[Outcome[Shown]]) -> None:
    from groundspeed.deploy.report.from_run import report_data
    from groundspeed.deploy.report.side_by_side import side_by_side
    from groundspeed.deploy.report.terminal import summary

    out = console()
    several = len(outcomes) > 1
    for outcome in outcomes:
        if several:
            out.rule(escape(outcome.device), align="left")
        if outcome.result is not None:
            out.print(summary(report_data(outcome.result.result)))
            if outcome.result.report is not None:
                out.print(f"report: {outcome.result.report}", soft_wrap=True, markup=False)
        else:
            out.print(f"[red]not had:[/red] {escape(str(outcome.error))}")
    if several:
        out.rule("all devices", align="left")
        out.print(
            side_by_side(
                {one.device: one.result.result for one in outcomes if one.result is not None}
            )
        )


def _plain(outcomes: Sequence[Outcome[Shown]]) -> dict[str, Any]:
    """Return one run as a dictionary, or several by device."""
    found = {
        outcome.device: {"error": str(outcome.error)}
        if outcome.result is None
        else plain(outcome.result.result)
        | ({"report": outcome.result.report} if outcome.result.report else {})
        for outcome in outcomes
    }
    return {"devices": found} if len(found) > 1 else found.popitem()[1]


def plain(result: RunResult) -> dict[str, Any]:
    """Return a run as a dictionary for machines; durations are nanoseconds."""
    return {
        "run": result.run.id,
        "device": result.run.plan.target,
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
    from groundspeed.deploy.feedback.breakdown import break_down

    profile = result.profile.profile if result.profile else None
    if profile is None or result.artifact is None:
        return None
    return break_down(result.artifact.manifest, profile)
