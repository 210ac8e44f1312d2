"""``groundspeed eval``: how right exported files are on real data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from groundspeed.artifact import Artifact
from groundspeed.deploy.accuracy import Proportion
from groundspeed.deploy.cli.options import artifact_options, json_option, store_option
from groundspeed.deploy.cli.output import console, print_json
from groundspeed.deploy.cli.place import Place
from groundspeed.deploy.cli.place_options import device_option
from groundspeed.deploy.cli.progress import CountProgress
from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.evaluation import Evaluation, Scored
from groundspeed.deploy.store.location import Location
from groundspeed.deploy.tensor_errors import TensorError
from groundspeed.ends import canonical_shape
from groundspeed.errors import UsageError
from groundspeed.units import bytes_text

WORST = 10  # tensors of each file that are printed


@click.command()
@artifact_options
@click.option(
    "--data",
    required=True,
    help="What to run on: a folder of images, an .npz file, file.py:callable, or a set such as "
    "fashion_mnist:test.",
)
@click.option("--samples", type=click.IntRange(min=1), help="Samples at most.  [default: all]")
@click.option("--seed", default=0, show_default=True, help="Seed of the choice of samples.")
@click.option("--network", help="The float network, to compare with; run in PyTorch.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="State dict of the network (.pt or .safetensors).",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="The artifact to compare with.  [default: the network, or the first of fp32]",
)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of each."
)
@click.option("--per-tensor", is_flag=True, help="Compare the tensors inside the files too.")
@device_option
@store_option
@json_option
def command(
    artifacts: tuple[Path, ...],
    precision: str,
    input_shapes: tuple[tuple[int, ...], ...],
    data: str,
    samples: int | None,
    seed: int,
    network: str | None,
    weights: Path | None,
    reference: Path | None,
    threads: int,
    per_tensor: bool,
    place: Place,
    location: Location,
    as_json: bool,
) -> int:
    """Measure how right exported files are on data, and how far from their float network.

    ARTIFACTS are folders that 'groundspeed export' made, or bare .onnx, .tflite and .param files
    from elsewhere. With --on, they compute on a device; --network is run here all the same. Exit
    code 1 when a file could not be run.

    \b
    Example:
      groundspeed eval artifacts/net-*-fp32 artifacts/net-*-int8 --data fashion_mnist:test
      groundspeed eval model.onnx --data photos/:mean=0.5,std=0.5 --samples 500 --on pi5
    """
    from groundspeed.deploy import sources
    from groundspeed.deploy.adopting import open_artifact

    paths = dict.fromkeys([*([reference] if reference else []), *artifacts])
    opened = {
        str(path): open_artifact(path, precision=precision, input_shapes=input_shapes)
        for path in paths
    }
    if weights is not None and network is None:
        raise UsageError("--weights are those of a network; name it with --network")
    loaded = None
    if network is not None:
        shapes = input_shapes or _input_shapes(next(iter(opened.values())))
        loaded = sources.load(network, input_shapes=shapes, weights=weights)
    with (
        CountProgress(console(stderr=True)) as progress,
        place.open(location, progress.say) as (target, cpus),
    ):
        evaluation = evaluate(
            opened,
            data,
            network=loaded,
            reference=str(reference) if reference else None,
            samples=samples,
            seed=seed,
            threads=threads,
            per_tensor=per_tensor,
            target=target,
            cpus=cpus,
            on_progress=progress,
            on_sentence=progress.describe,
        )
    if as_json:
        print_json(evaluation)
    else:
        _print(evaluation)
    return 1 if any(row.error for row in evaluation.rows) else 0


def _input_shapes(artifact: Artifact) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that a network must take to be compared with a file; () if unknown."""
    return tuple(canonical_shape(spec) for spec in artifact.manifest.inputs)


def _print(evaluation: Evaluation) -> None:
    out = console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("artifact", overflow="fold")
    for title in ("top-1", "95 %", "top-5", "lost/won", "agreement", "SQNR", "size"):
        table.add_column(title, justify="right")
    names = _short_names([row.name for row in evaluation.rows])
    for row in evaluation.rows:
        if row.error is None:
            table.add_row(escape(names[row.name]), *_cells(row))
    out.print(table)
    about = [evaluation.data]
    if evaluation.reference is not None:
        about.append(f"compared with {names[evaluation.reference]}")
    about.append(f"computed on {evaluation.where}")
    for note in (*about, *evaluation.notes):
        out.print(f"  {note}", style="dim", markup=False)
    for row in evaluation.rows:
        if row.tensors:
            _print_tensors(names[row.name], row.tensors)
    for row in evaluation.rows:
        if row.error is not None:
            console(stderr=True).print(f"[red]{escape(row.name)}:[/red] {escape(row.error)}")


def _cells(row: Scored) -> tuple[str, ...]:
    return (
        _share(row.top1),
        "-" if row.top1 is None else f"{100 * row.top1.low:.1f}-{100 * row.top1.high:.1f}",
        _share(row.top5),
        "-" if row.lost is None else f"{row.lost}/{row.gained}",
        _share(row.agreement),
        "-" if row.sqnr_db is None else f"{row.sqnr_db:.1f} dB",
        "-" if row.size_bytes is None else bytes_text(row.size_bytes),
    )


def _share(proportion: Proportion | None) -> str:
    return "-" if proportion is None else f"{proportion.value:.2%}"


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Return each path's last part, or the paths as they are where those are ambiguous."""
    last = [Path(name).name for name in names]
    return dict(zip(names, last if len(set(last)) == len(last) else names, strict=True))


def _print_tensors(name: str, tensors: Sequence[TensorError]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.title = f"\nworst tensors of {escape(name)}"
    for title in ("module", "op", "kind"):
        table.add_column(title, overflow="fold")
    table.add_column("SQNR", justify="right")
    for each in tensors[:WORST]:
        table.add_row(escape(each.module), escape(each.op), each.kind, f"{each.sqnr_db:.1f} dB")
    console().print(table)
