"""A network and its variants as the cells of one run, and what their launches say."""

from __future__ import annotations

from collections.abc import Iterable

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.detect import attributed
from groundspeed.deploy.feedback.differences import by_rounds, mean_difference
from groundspeed.deploy.feedback.finding import Cost, Counterfactual, Evidence
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.feedback.variants import Variant
from groundspeed.deploy.plan import Cell
from groundspeed.deploy.results import CellResult, RunResult
from groundspeed.errors import DataError, ExportError, InputError

# From fewer rounds an interval is too wide to say anything.
LEAST_ROUNDS = 5
ORIGINAL = 0  # ordinal of the network itself


class Experiment:
    """Which files are launched, and which are compared.

    Args:
        scene: of the network itself.
        original: its file.
        variants: what patterns are measured with.

    Attributes:
        cells: what is launched, each file once.
    """

    def __init__(self, scene: Scene, original: Artifact, variants: Iterable[Variant]) -> None:
        self._scene = scene
        self._original = original
        self._exporters: dict[Cell, Exporter] = {}
        self.cells = [self._cell(original.manifest.source, original.id)]
        # By name, so that an interrupted run finds the same cells when it goes on.
        by_name = sorted(variants, key=lambda variant: variant.found.pattern.name)
        self._pairs = [
            (
                variant,
                ORIGINAL if variant.before is None else self._ordinal(variant.before),
                self._ordinal(variant.after),
            )
            for variant in by_name
        ]

    def write(self, cell: Cell) -> Artifact:
        """Return the file of a cell.

        Raises:
            ExportError: it cannot be made.
        """
        if cell not in self._exporters:
            return self._original
        manifest = self._original.manifest
        try:
            return self._exporters[cell].export(manifest.format, manifest.precision)
        except (DataError, InputError) as error:
            raise ExportError(str(error)) from error

    def outcomes(self, run: RunResult) -> dict[str, Counterfactual | str]:
        """Return what each pattern was found to cost, or why that is not known, by its name."""
        compared = [
            (variant, run.cells[before], run.cells[after]) for variant, before, after in self._pairs
        ]
        differences = [by_rounds(before, after) for _, before, after in compared]
        comparisons = sum(len(rounds) >= LEAST_ROUNDS for rounds in differences)
        total = run.cells[ORIGINAL].latency
        return {
            variant.found.pattern.name: (
                self._measured(variant, rounds, comparisons, total.estimate_ns)
                if total is not None and len(rounds) >= LEAST_ROUNDS
                else _why(before, after, len(rounds))
            )
            for (variant, before, after), rounds in zip(compared, differences, strict=True)
        }

    def _cell(self, network: Source, artifact_id: str = "") -> Cell:
        manifest = self._original.manifest
        return Cell(
            network=network,
            runtime=manifest.runtime,
            precision=manifest.precision,
            threads=self._scene.threads,
            artifact_id=artifact_id,
        )

    def _ordinal(self, exporter: Exporter) -> int:
        """Return the ordinal of a network's cell; two patterns may leave the same network."""
        for cell, known in self._exporters.items():
            if known.source.digest == exporter.source.digest:
                return self.cells.index(cell)
        cell = self._cell(exporter.source)
        self._exporters[cell] = exporter
        self.cells.append(cell)
        return len(self.cells) - 1

    def _measured(
        self, variant: Variant, rounds_ns: list[float], comparisons: int, total_ns: float
    ) -> Counterfactual:
        change = variant.change
        taken = variant.found.sightings if change.taken is None else change.taken
        time = mean_difference(rounds_ns, comparisons=comparisons, times=change.times)
        return Counterfactual(
            instead=change.what,
            places=len(taken),
            attributed=attributed(self._scene, taken),
            measured=Cost(time=time, share=time.ns / total_ns, evidence=Evidence.MEASURED),
            rounds=len(rounds_ns),
        )


def _why(before: CellResult, after: CellResult, rounds: int) -> str:
    """Return why two cells cannot be compared."""
    for cell in (before, after):
        if cell.export_error is not None:
            return f"{cell.cell.network.name} cannot be written: {cell.export_error}"
        if cell.failures:
            return f"{cell.cell.network.name} cannot be launched: {cell.failures[0]}"
    noun = "round" if rounds == 1 else "rounds"
    return f"only {rounds} {noun} of launches gave a difference, and {LEAST_ROUNDS} are needed"
