"""``groundspeed train``: weights for a network, from labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from groundspeed.deploy.cli.options import json_option, network_options
from groundspeed.deploy.cli.output import console, print_json
from groundspeed.deploy.cli.progress import TrainingProgress

if TYPE_CHECKING:
    from groundspeed.deploy.training import Training


@click.command()
@click.argument("network")
@click.option(
    "--data",
    required=True,
    help="What to train on: a folder of images with one sub-folder for each class, an .npz file, "
    "file.py:callable, or a set such as fashion_mnist:train.",
)
@click.option("--test", help="What to test on afterwards, such as fashion_mnist:test.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File for the weights (.safetensors), with --quantize for the network (.pt2).",
)
@click.option(
    "--quantize",
    is_flag=True,
    help="Let it learn to compute with 8-bit integers; best with the --weights of a training "
    "without it, and a tenth of the learning rate.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often each sample is seen.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=2),
    default=64,
    show_default=True,
    help="Samples in one step.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=4e-3,
    show_default=True,
    help="Peak of its schedule.",
)
@click.option(
    "--shift",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Pixels that images are moved by at random.",
)
@click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror images at random.")
@click.option("--seed", default=0, show_default=True, help="Seed of whatever is random.")
@network_options
@json_option
def command(
    network: str,
    data: str,
    test: str | None,
    output: Path,
    quantize: bool,
    epochs: int,
    batch: int,
    learning_rate: float,
    shift: int,
    flip: bool,
    seed: int,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    as_json: bool,
) -> None:
    """Train a classifier on labelled images; what was interrupted goes on when run again.

    NETWORK is a name of the zoo, path/to/file.py:callable or package.module:callable; options
    follow as in shufflenet_v2_x0_5:num_classes=10,stem_stride=1.

    \b
    Example:
      groundspeed train shufflenet_v2_x0_5:num_classes=10,stem_stride=1 --input-shape 1,3,32,32 \\
          --data fashion_mnist:train --test fashion_mnist:test -o weights.safetensors
    """
    from groundspeed.deploy.training import train_network
    from groundspeed.models.train import Settings

    errors = console(stderr=True)
    with TrainingProgress(errors) as progress:
        progress.say(f"loading {network} and {data}")
        training = train_network(
            network,
            output,
            data=data,
            test=test,
            settings=Settings(
                epochs=epochs,
                batch=batch,
                learning_rate=learning_rate,
                shift=shift,
                flip=flip,
                seed=seed,
            ),
            quantize=quantize,
            input_shapes=input_shapes,
            weights=weights,
            on_progress=progress,
        )
    if as_json:
        print_json(training)
    else:
        _print(training)


def _print(training: Training) -> None:
    table = Table("epoch", box=None, header_style="bold", pad_edge=False)
    table.add_column("loss", justify="right")
    table.add_column("accuracy", justify="right")
    for number, epoch in enumerate(training.history, start=1):
        table.add_row(str(number), f"{epoch.loss:.3f}", f"{epoch.accuracy:.1%}")
    out = console()
    out.print(table)
    if training.top1 is not None:
        out.print(f"top-1 on {training.test}: {training.top1:.2%}", markup=False)
    out.print(f"written: {training.output}", markup=False)
