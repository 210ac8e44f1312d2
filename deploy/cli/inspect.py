"""``groundspeed inspect``: a network's cost on paper, layer by layer."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from groundspeed.deploy.cli.options import json_option, network_options
from groundspeed.deploy.cli.output import console, print_json
from groundspeed.units import bytes_text, count_text


@click.command()
@click.argument("network")
@network_options
@json_option
def command(
    network: str,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    as_json: bool,
) -> None:
    """Show what each layer of a network costs on paper, after its batch-norms are folded.

    NETWORK is a name of the zoo, path/to/file.py:callable, package.module:callable, an .onnx or a
    .pt2 file; add ':name=value,...' for arguments of a callable.

    \b
    Example:
      groundspeed inspect shufflenet_v2_x1_0
      groundspeed inspect path/to/net.py:build:width=0.5 --input-shape 1,3,96,96
    """
    from groundspeed.deploy import inspecting, sources

    loaded = sources.load(network, input_shapes=input_shapes, weights=weights)
    inspection = inspecting.inspect(loaded)
    if as_json:
        print_json(inspection)
        return
    out = console()
    table = Table("module", "op", "kind", "output", box=None, header_style="bold")
    for title in ("parameters", "MACs", "memory", "FLOP/byte"):
        table.add_column(title, justify="right")
    for op in inspection.ops:
        table.add_row(
            op.module,
            op.name,
            op.kind.value,
            "x".join(map(str, op.output_shape)),
            count_text(op.parameters),
            count_text(op.macs),
            bytes_text(op.memory_bytes),
            f"{op.intensity:.1f}",
        )
    out.print(table)
    out.print(
        f"\n[bold]{inspection.name}[/bold]: {inspection.parameters:,} parameters, "
        f"{inspection.macs:,} MACs, {count_text(inspection.flops)} FLOPs, "
        f"{bytes_text(inspection.memory_bytes)} of memory access"
    )
    for note in inspection.notes:
        out.print(f"  {note}", style="dim", markup=False)
