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
    table.add_column("")
    for column in ("int8 layers", "lost", "predicted", "measured", "of float", "lost in file"):
        table.add_column(column, justify="right")
    shown = {*mixing.front, mixing.chosen}
    shown |= {i for i, each in enumerate(mixing.candidates) if each.measured or each.error}
    for position in sorted(shown, key=lambda i: -mixing.candidates[i].predicted_ns):
        mark = "▸" if position == mixing.chosen else " "
        front = "front" if position in mixing.front else ""
        table.add_row(f"{mark} {front}", *_cells(mixing.candidates[position], len(mixing.layers)))
    out.print()
    out.print(title, markup=False)
    out.print(table)
    out.print(f"  {mixing.why}", style="dim", markup=False)


def _cells(candidate: Candidate, layers: int) -> tuple[str, ...]:
    about = (
        f"{len(candidate.layers)} of {layers}",
        f"{candidate.drop:.2f}",
        f"{candidate.predicted_ns / 1e6:.3g} ms",
    )
    measured = candidate.measured
    if measured is None:
        return (*about, "failed" if candidate.error else "-", "-", "-")
    ratio = measured.ratio
    return (
        *about,
        f"{measured.mixed_ns / 1e6:.3g} ms",
        f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
        f"{measured.drop:.2f}",
    )
