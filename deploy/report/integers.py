"""What a report says of files with integers: each beside the float file of the same runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from groundspeed.artifact import Manifest
from groundspeed.deploy.report.blame import Blame, blame
from groundspeed.deploy.report.content import Cell, Network
from groundspeed.deploy.report.ratio import Ratio, ratio
from groundspeed.mixing import Mixing
from groundspeed.quantization import Calibration, LayerLoss

PRECISIONS = ("int8", "int8_dynamic", "int8_weight_only", "auto")
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class IntegerCell:
    """A cell of a file with integers.

    Attributes:
        cell: the cell.
        ratio: its latency over the float file's; None when no float file was measured in the same
            runtime with as many threads.
        size_ratio: its size over the float file's; None likewise.
        parity_error: largest difference of an output over the largest magnitude of the reference;
            None when it was not checked.
        same_top1: least share of checked inputs with the same arg-max; None when it has none.
        blame: where it loses time; None when it is not slower, or one of the two has no profile.
    """

    cell: Cell
    ratio: Ratio | None
    size_ratio: float | None
    parity_error: float | None
    same_top1: float | None
    blame: Blame | None

    @property
    def name(self) -> str:
        """Runtime and precision, with the threads where the label has them."""
        precision = self.cell.measured.precision
        label = self.cell.label
        return label if precision in label else f"{label} · {precision}"

    @property
    def is_slower(self) -> bool:
        """Whether integers cost time here beyond doubt."""
        return self.ratio is not None and self.ratio.is_slower


@dataclass(frozen=True, kw_only=True)
class FloatLayer:
    """An op that stayed in floating point: the user's module that it stems from, and why."""

    op: str
    module: str
    reason: str


def integer_cells(network: Network) -> tuple[IntegerCell, ...]:
    """Return the cells of a network with integers, in the order of the network's cells."""
    return tuple(
        _integer_cell(cell, _float_cell(cell, network))
        for cell in network.cells
        if cell.measured.precision in PRECISIONS
    )


def _float_cell(cell: Cell, network: Network) -> Cell | None:
    def setting(one: Cell) -> tuple[str, int]:
        return one.measured.runtime, one.measured.threads

    alike = (one for one in network.cells if setting(one) == setting(cell))
    return next((one for one in alike if one.measured.precision == "fp32"), None)


def _integer_cell(cell: Cell, floats: Cell | None) -> IntegerCell:
    compared = ratio(cell.latency, floats.latency) if floats else None
    culprits = None
    if compared and compared.is_slower and floats and floats.breakdown and cell.breakdown:
        culprits = blame(cell.breakdown, floats.breakdown)
    parity = cell.measured.manifest.parity
    agreements = parity.agreements if parity else ()
    return IntegerCell(
        cell=cell,
        ratio=compared,
        size_ratio=cell.file_bytes / floats.file_bytes if floats else None,
        parity_error=max((one.max_relative for one in agreements), default=None),
        same_top1=min((one.top1 for one in agreements if one.top1 is not None), default=None),
        blame=culprits,
    )


def losses(cells: Sequence[IntegerCell]) -> tuple[tuple[str, tuple[LayerLoss, ...]], ...]:
    """Return what quantization costs each layer, the worst first, with the cells it holds for."""

    def of(manifest: Manifest) -> tuple[LayerLoss, ...]:
        return tuple(sorted(manifest.losses, key=lambda loss: loss.output_sqnr_db))

    return _shared(cells, of)


def float_layers(cells: Sequence[IntegerCell]) -> tuple[tuple[str, tuple[FloatLayer, ...]], ...]:
    """Return what stayed in floating point, with the cells that it holds for."""

    def of(manifest: Manifest) -> tuple[FloatLayer, ...]:
        modules = {op.name: op.module for op in manifest.ops}
        stayed = (manifest.quantization.float_ops or {}) if manifest.quantization else {}
        return tuple(
            FloatLayer(op=op, module=modules.get(op, ""), reason=reason)
            for op, reason in stayed.items()
        )

    return _shared(cells, of)


def calibrations(cells: Sequence[IntegerCell]) -> tuple[tuple[str, Calibration], ...]:
    """Return the calibrations, with the cells that each holds for.

    Files with integers in their weights alone needed none.
    """

    def of(manifest: Manifest) -> Calibration | None:
        return manifest.quantization.calibration if manifest.quantization else None

    return _shared(cells, of)


def mixings(cells: Sequence[IntegerCell]) -> tuple[tuple[str, Mixing], ...]:
    """Return how mixed files came about, with the cells that each holds for."""
    return _shared(cells, lambda manifest: manifest.mixing)


def _shared(
    cells: Sequence[IntegerCell], of: Callable[[Manifest], Value | None]
) -> tuple[tuple[str, Value], ...]:
    """Return each value that manifests have, once, with the names of the cells that share it."""
    found: list[tuple[list[str], Value]] = []
    for one in cells:
        value = of(one.cell.measured.manifest)
        if not value:
            continue
        names = next((names for names, other in found if other == value), None)
        if names is None:
            found.append(([one.name], value))
        else:
            names.append(one.name)
    return tuple((", ".join(names), value) for names, value in found)


def decibels(value: float) -> str:
    """Return a ratio in decibels with one decimal; without any noise it is "no noise"."""
    return "no noise" if value == math.inf else f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def ratio_text(value: Ratio | None) -> str:
    """Return a ratio with its interval: "1.25 [1.10, 1.42]"."""
    if value is None:
        return "no float file"
    if value.interval is None:
        return f"{value.value:.2f} (one launch)"
    low, high = value.interval
    return f"{value.value:.2f} [{low:.2f}, {high:.2f}]"
