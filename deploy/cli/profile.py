"""``groundspeed profile``: where the time of files that exist goes."""

from __future__ import annotations

from pathlib import Path

import click

from groundspeed.deploy.cli.options import artifact_options, json_option, store_option
from groundspeed.deploy.cli.output import console, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.store.location import Location


@click.command()
@artifact_options
@launch_options
@click.option(
    "--runs",
    type=click.IntRange(min=2),
    default=30,
    show_default=True,
    help="Profiled runs of each artifact.",
)
@store_option
@json_option
def command(
    artifacts: tuple[Path, ...],
    precision: str,
    input_shapes: tuple[tuple[int, ...], ...],
    threads: tuple[int, ...],
    place: Place,
    runs: int,
    location: Location,
    as_json: bool,
) -> int:
    """Measure where the time of exported files goes, op by op and module by module.

    ARTIFACTS are folders that 'groundspeed export' made, or bare .onnx, .tflite and .param files
    from elsewhere; only the former know the modules of their network.

    \b
    Example:
      groundspeed profile artifacts/shufflenet_v2_x1_0-ncnn-fp32
    """
    from groundspeed.deploy import benching
    from groundspeed.deploy.adopting import open_artifact
    from groundspeed.deploy.cli.results import Shown, show
    from groundspeed.deploy.plan import Settings

    opened = [
        open_artifact(path, precision=precision, input_shapes=input_shapes) for path in artifacts
    ]

    def measure(here: Here) -> Shown:
        result = benching.profile(
            opened,
            threads,
            store=here.store,
            target=here.target,
            settings=Settings(profile_runs=runs, cpus=here.cpus),
            command=typed(),
            on_event=here.on_event,
        )
        return Shown(result=result)

    with RunProgress(console(stderr=True)) as progress:
        outcomes = place.on_each(location, progress, measure)
    return show(outcomes, as_json=as_json)
