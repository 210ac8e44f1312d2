"""What a report says, whatever its form: the page and the terminal show the same values."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from groundspeed.artifact import Manifest
from groundspeed.deploy.devices.stability import Pace, judge
from groundspeed.deploy.feedback.across import Across, across
from groundspeed.deploy.feedback.breakdown import Breakdown, break_down
from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.feedback.guidelines.stored import Answered
from groundspeed.deploy.feedback.roofline import Roofline, roofline
from groundspeed.deploy.report import text
from groundspeed.deploy.statistics import Latency, latency
from groundspeed.deploy.store.rows import StoredEvaluation
from groundspeed.measurement import Launch


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One network in one runtime, precision and number of threads, and all that was measured.

    Attributes:
        network: name of the network.
        runtime: name of the runtime.
        precision: what the runtime was asked to compute with.
        threads: threads that it was given.
        manifest: of the artifact that ran.
        launches: the latency launches, in order; at least one.
        profile: the launch with per-op times, if one was made.
        evaluation: how right the file is; None without test data.
        findings: what costs it time without need; None if nobody looked.
    """

    network: str
    runtime: str
    precision: str
    threads: int
    manifest: Manifest
    launches: tuple[Launch, ...]
    profile: Launch | None = None
    evaluation: StoredEvaluation | None = None
    findings: tuple[Finding, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Something that was asked for and could not be had.

    Attributes:
        network: name of the network.
        what: "export to ncnn, fp16", "measure litert, fp32, 1 thread".
        reason: the sentence of the error.
    """

    network: str
    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that one report is made from.

    Attributes:
        measured: in the order to show them.
        failures: what could not be exported or measured.
        guidelines: what the device said to them when it was last asked; None if nobody did.
        command: the command line that makes the report again.
        made_at: UTC time, ISO 8601.
        version: version of Groundspeed that makes the report.
    """

    measured: tuple[Measured, ...]
    failures: tuple[Failure, ...] = ()
    guidelines: Answered | None = None
    command: str = ""
    made_at: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measured combination with everything that is computed from its samples.

    Attributes:
        measured: the raw values.
        label: what tells it from the other cells of its network ("ncnn", "ncnn · fp16"), and what
            makes its latency less than it seems ("ncnn · throttled").
        latency: estimate over launches.
        ratio: latency over that of the fastest cell of the network.
        breakdown: where the time goes; None without a profile.
        roofline: its ops under the best of them; None without a profile or rates.
    """

    measured: Measured
    label: str
    latency: Latency
    ratio: float
    breakdown: Breakdown | None
    roofline: Roofline | None

    def overlaps(self, other: Cell) -> bool:
        """Return whether the two intervals overlap, so that neither can be called the faster."""
        one, two = self.latency.interval, other.latency.interval
        if one is None or two is None:
            return False
        return one.low_ns <= two.high_ns and two.low_ns <= one.high_ns

    @property
    def first_run_ns(self) -> float:
        """Median over launches of the first inference."""
        return median(launch.first_run_ns for launch in self.measured.launches)

    @property
    def load_ns(self) -> float:
        """Median over launches of opening the artifact."""
        return median(launch.load_ns for launch in self.measured.launches)

    @property
    def peak_memory_bytes(self) -> int | None:
        """Largest resident set that a launch reached, None when it could not be read."""
        peaks = [launch.peak_memory_bytes for launch in self.measured.launches]
        return max((peak for peak in peaks if peak is not None), default=None)

    @property
    def file_bytes(self) -> int:
        """Size of the files that the runtime opens."""
        return sum(file.size_bytes for file in self.measured.manifest.files)


@dataclass(frozen=True, kw_only=True)
class Network:
    """All cells of one network, and what failed for it."""

    name: str
    cells: tuple[Cell, ...]
    failures: tuple[Failure, ...]

    @property
    def fastest(self) -> Cell:
        """The cell with the lowest latency."""
        return min(self.cells, key=lambda cell: cell.latency.estimate_ns)

    @property
    def explained(self) -> tuple[tuple[Cell, tuple[Finding, ...]], ...]:
        """The cells that were searched for patterns, each with what was found."""
        pairs = [(cell, cell.measured.findings) for cell in self.cells]
        return tuple((cell, findings) for cell, findings in pairs if findings is not None)

    @property
    def across(self) -> Across | None:
        """The network line by line in all its profiled cells; None without any.

        Files of one network in one report may still differ in their weights: then there is none.
        """
        columns = {
            cell.label: (cell.measured.manifest, breakdown) for cell, breakdown in self.profiled
        }
        digests = {manifest.source.digest for manifest, _ in columns.values()}
        return across(columns) if len(digests) == 1 else None

    @property
    def profiled(self) -> tuple[tuple[Cell, Breakdown], ...]:
        """The cells that have per-op times, each with where the time goes."""
        return tuple((cell, cell.breakdown) for cell in self.cells if cell.breakdown is not None)


def networks(data: ReportData) -> tuple[Network, ...]:
    """Compute what the report shows of each network, in the order of ``data``."""
    names = dict.fromkeys(
        [measured.network for measured in data.measured]
        + [failure.network for failure in data.failures]
    )
    return tuple(
        Network(
            name=name,
            cells=_cells([measured for measured in data.measured if measured.network == name]),
            failures=tuple(failure for failure in data.failures if failure.network == name),
        )
        for name in names
    )


def _cells(group: list[Measured]) -> tuple[Cell, ...]:
    latencies = [latency(measured.launches) for measured in group]
    fastest = min((one.estimate_ns for one in latencies), default=0.0)
    cells = []
    for measured, one in zip(group, latencies, strict=True):
        profile = measured.profile.profile if measured.profile else None
        breakdown = break_down(measured.manifest, profile) if profile else None
        cells.append(
            Cell(
                measured=measured,
                label=_label(measured, group),
                latency=one,
                ratio=one.estimate_ns / fastest,
                breakdown=breakdown,
                roofline=roofline(breakdown) if breakdown else None,
            )
        )
    return tuple(cells)


def _label(measured: Measured, group: list[Measured]) -> str:
    """Return the runtime, with the precision and the threads where the group differs in them.

    What makes a latency less than it seems stands in its name, so that no table and no picture can
    show it without.
    """
    parts = [measured.runtime]
    if len({other.precision for other in group}) > 1:
        parts.append(measured.precision)
    if len({other.threads for other in group}) > 1:
        parts.append(text.threads(measured.threads))
    if less := reservation(measured):
        parts.append(less)
    return " · ".join(parts)


def reservation(measured: Measured) -> str:
    """Return what makes a latency less than it seems: "emulated", "throttled" or ""."""
    if any(launch.machine.emulated for launch in measured.launches):
        return "emulated"
    throttled = any(judge(launch).pace is Pace.THROTTLED for launch in measured.launches)
    return "throttled" if throttled else ""
