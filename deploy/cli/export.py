"""``groundspeed export``: a network as files that are proven equal."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from groundspeed.artifact import Artifact
from groundspeed.deploy.cli.mixing import print_mixing
from groundspeed.deploy.cli.options import conversion_options, json_option, network_options
from groundspeed.deploy.cli.output import console, print_json
from groundspeed.deploy.cli.quantization_options import quantization_options
from groundspeed.deploy.cli.values import Names
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.units import bytes_text


@click.command()
@click.argument("network")
@click.option(
    "--to",
    "formats",
    type=Names(),
    default=("onnx", "tflite", "ncnn"),
    show_default="onnx,tflite,ncnn",
    help="Formats.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("artifacts"),
    show_default=True,
    help="Folder for the artifacts.",
)
@conversion_options
@quantization_options
@network_options
@json_option
def command(
    network: str,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    folder: Path,
    layout: str | None,
    timeout_s: float,
    quantizing: Quantizing,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    as_json: bool,
) -> int:
    """Write a network as ONNX, TFLite and NCNN files, and prove each equal to the network.

    NETWORK is a name of the zoo, path/to/file.py:callable, package.module:callable, an .onnx or a
    .pt2 file. Exit code 1 when a format could not be written or failed its parity check.

    \b
    Example:
      groundspeed export mobilenet_v2 --to onnx,ncnn --precision fp32,fp16 -o artifacts
    """
    from groundspeed.deploy import exporting, sources
    from groundspeed.export.formats import FORMATS, check_precisions

    for name in formats:
        FORMATS[name]
    check_precisions(formats, precisions)
    errors = console(stderr=True)
    with errors.status(f"loading {network}") as status:
        exporter = exporting.Exporter(
            sources.load(network, input_shapes=input_shapes, weights=weights),
            folder,
            layout=layout,
            timeout_s=timeout_s,
            quantizing=quantizing,
            on_progress=lambda words: status.update(words),
        )
        results = list(exporting.export_all(exporter, formats, precisions))
    artifacts = [result for result in results if isinstance(result, Artifact)]
    failures = [result for result in results if isinstance(result, exporting.ExportFailure)]
    if as_json:
        print_json(
            {
                "artifacts": [
                    {"folder": a.folder, "id": a.id, "manifest": a.manifest} for a in artifacts
                ],
                "failures": failures,
            }
        )
    else:
        if artifacts:
            _print(artifacts)
        for failure in failures:
            where = f"{failure.format} {failure.precision}"
            errors.print(f"[red]{where}:[/red] {escape(failure.reason)}")
    return 1 if failures else 0


def _print(artifacts: list[Artifact]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("artifact", overflow="fold")
    for title in ("size", "max |error|", "of the peak", "PSNR", "top-1"):
        table.add_column(title, justify="right")
    notes: dict[str, None] = {}
    for artifact in artifacts:
        manifest = artifact.manifest
        notes |= dict.fromkeys(note for step in manifest.steps for note in step.notes)
        for agreement in manifest.parity.agreements if manifest.parity else ():
            table.add_row(
                str(artifact.folder),
                bytes_text(artifact.size_bytes),
                f"{agreement.max_absolute:.1e}",
                f"{agreement.max_relative:.1e}",
                f"{agreement.psnr_db:.0f} dB",
                "-" if agreement.top1 is None else f"{agreement.top1:.0%}",
            )
    out = console()
    out.print(table)
    for note in notes:
        out.print(f"  {note}", style="dim", markup=False)
    for artifact in artifacts:
        if artifact.manifest.mixing is not None:
            print_mixing(out, artifact.folder, artifact.manifest.mixing)
