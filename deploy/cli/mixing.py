"""What mixed precision was chosen from, for the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from groundspeed.mixing import Candidate, Mixing


def print_mixing(out: Console, folder: Path, mixing: Mixing) -> None:
    """Print the Pareto front, and what else was measured, as a table."""
    title = (
        f"{folder}: at most {mixing.max_drop:g} points of {mixing.judged_by}, {mixing.samples} "
        f"samples; {mixing.target}, {mixing.threads} thread{'' if mixing.threads == 1 else 's'}"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("int8 layers", "lost", "predicted", "measured", "of float", "95 %", "in file"):
        table.add_column(column, justify="right", no_wrap=True)
    shown = {0, *mixing.front, mixing.chosen}
    shown |= {i for i, each in enumerate(mixing.candidates) if each.measured or each.error}
    for position in sorted(shown, key=lambda i: -mixing.candidates[i].predicted_ns):
        mark = "▸" if position == mixing.chosen else " "
        front = "front" if position in mixing.front else ""
        candidate = mixing.candidates[position]
        table.add_row(
            f"{mark} {front}",
            f"{len(candidate.layers)} of {len(mixing.layers)}",
            f"{candidate.drop:.2f}",
            _ms(candidate.predicted_ns),
            *(_measured(candidate) if position else _float(mixing)),
        )
    out.print()
    out.print(title, markup=False)
    out.print(table)
    out.print(f"  {mixing.why}", style="dim", markup=False)


def _measured(candidate: Candidate) -> tuple[str, ...]:
    measured = candidate.measured
    if measured is None:
        return ("failed" if candidate.error else "-", "-", "-", "-")
    ratio = measured.ratio
    return (
        _ms(measured.mixed_ns),
        f"{ratio.value:.3f}",
        f"{ratio.low:.3f} to {ratio.high:.3f}",
        f"{measured.drop:.2f}",
    )


def _float(mixing: Mixing) -> tuple[str, ...]:
    """Return what the float file took beside the others; all were in the same rounds."""
    measured = [each.measured for each in mixing.candidates if each.measured is not None]
    return (_ms(measured[0].float_ns) if measured else "-", "1", "-", "0.00")


def _ms(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:.3g} ms"
