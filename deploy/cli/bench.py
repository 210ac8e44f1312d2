"""``groundspeed bench``: the latency of files that exist."""

from __future__ import annotations

from pathlib import Path

import click

from groundspeed.deploy.cli.options import (
    artifact_options,
    json_option,
    round_options,
    store_option,
)
from groundspeed.deploy.cli.output import console, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.store.location import Location


@click.command()
@artifact_options
@launch_options
@round_options
@store_option
@json_option
def command(
    artifacts: tuple[Path, ...],
    precision: str,
    input_shapes: tuple[tuple[int, ...], ...],
    threads: tuple[int, ...],
    place: Place,
    rounds: int,
    budget_s: float | None,
    half_width: float,
    fresh: bool,
    location: Location,
    as_json: bool,
) -> int:
    """Measure the latency of exported files, their launches interleaved.

    ARTIFACTS are folders that 'groundspeed export' made, or bare .onnx, .tflite and .param files
    from elsewhere.

    \b
    Example:
      groundspeed bench artifacts/* --threads 1,2
      groundspeed bench artifacts/* --on pixel,pi5
    """
    from groundspeed.deploy import benching, running
    from groundspeed.deploy.adopting import open_artifact
    from groundspeed.deploy.cli.results import Shown, show
    from groundspeed.deploy.plan import Settings

    opened = [
        open_artifact(path, precision=precision, input_shapes=input_shapes) for path in artifacts
    ]
    seconds = running.SECONDS_PER_CELL * len(opened) * len(threads)

    def measure(here: Here) -> Shown:
        result = benching.bench(
            opened,
            threads,
            store=here.store,
            target=here.target,
            settings=Settings(
                half_width=half_width,
                max_rounds=rounds,
                max_seconds=seconds if budget_s is None else budget_s,
                cpus=here.cpus,
                profile_runs=0,
            ),
            command=typed(),
            fresh=fresh,
            on_event=here.on_event,
        )
        return Shown(result=result)

    with RunProgress(console(stderr=True)) as progress:
        outcomes = place.on_each(location, progress, measure)
    return show(outcomes, as_json=as_json)
