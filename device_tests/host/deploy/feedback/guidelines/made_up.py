"""A run of the experiments that nobody made: every time in it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from device_tests.host.deploy.report.conftest import launch, manifest
from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.feedback.guidelines.asked import Asked, Subject
from groundspeed.deploy.plan import Cell, Plan, Settings
from groundspeed.deploy.results import CellResult, RunResult
from groundspeed.deploy.store.rows import StoredLaunch, StoredRun
from groundspeed.ops import Op, OpKind

# Variant and round -> nanoseconds; None for a launch that failed.
Timing = Callable[[Subject, int], float | None]

ROUNDS = 8
RATE = 10.0  # MACs in a nanosecond


def run(asked: Asked, timing: Timing, *, rounds: int = ROUNDS, runtime: str = "fast") -> RunResult:
    cells = tuple(_cell(subject, timing, rounds, runtime) for subject in asked.subjects)
    plan = Plan(
        cells=tuple(cell.cell for cell in cells),
        settings=Settings(),
        target="a device",
        machine_id="",
    )
    stored = StoredRun(
        id=7,
        plan=plan,
        command="groundspeed guidelines",
        started_at="2026-11-23T10:00:00Z",
        finished_at=None,
        stopped=None,
    )
    return RunResult(run=stored, cells=cells)


def macs(subject: Subject) -> int:
    """Return the MACs of a network by its closed form."""
    given = subject.experiment.arguments(subject.variant, subject.column, subject.width)
    return 10 * 56 * 56 * subject.experiment.weights(given)


def at_rate(subject: Subject) -> float:
    """Return the nanoseconds of a network whose every MAC takes as long as any other."""
    return macs(subject) / RATE


def drift(round: int) -> float:
    """Return how much slower the machine is in a round."""
    return 1 + 0.4 * (round % 3)


def noise(subject: Subject, round: int, size: float) -> float:
    """Return a factor around 1 that looks random, and is not the same for two networks."""
    place = sum(map(ord, subject.spec)) * 7919 + round * 104729
    return 1 + size * ((place % 1009) / 1009 - 0.5)


def _cell(subject: Subject, timing: Timing, rounds: int, runtime: str) -> CellResult:
    source = Source(name=subject.variant.name, spec=subject.spec, digest=subject.spec)
    op = Op(
        name="conv",
        kind=OpKind.POINTWISE,
        module="0",
        line="",
        output_shape=(1, 8),
        parameters=0,
        macs=macs(subject),
        flops=0,
        memory_bytes=0,
    )
    base = manifest(runtime)
    fields = {field: getattr(base, field) for field in base.__dataclass_fields__}
    artifact = Artifact(
        folder=Path("nowhere"),
        manifest=type(base)(**{**fields, "source": source, "ops": (op,)}),
    )
    times = [timing(subject, round) for round in range(rounds)]
    return CellResult(
        cell=Cell(network=source, runtime=runtime, precision="fp32", threads=1),
        artifact=artifact,
        export_error=None,
        stored=tuple(
            StoredLaunch(
                action="measure",
                round=round,
                position=0,
                started_at="2026-11-23T10:00:00Z",
                duration_s=1.0,
                launch=None if time is None else launch(runtime, round_ns(time)),
                error="it crashed" if time is None else None,
            )
            for round, time in enumerate(times)
        ),
    )


def round_ns(time: float) -> int:
    return max(round(time), 100_000)
