"""``groundspeed run``: the whole way, from networks to a report."""

from __future__ import annotations

from pathlib import Path

import click

from groundspeed.deploy.cli.options import (
    conversion_options,
    json_option,
    network_options,
    report_option,
    round_options,
    runtimes_option,
    store_option,
)
from groundspeed.deploy.cli.output import console, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.cli.quantization_options import quantization_options
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.store.location import Location
from groundspeed.errors import UsageError


@click.command()
@click.argument("networks", nargs=-1, required=True)
@runtimes_option
@launch_options
@round_options
@conversion_options
@quantization_options
@click.option(
    "--test",
    help="What to test every file on: data as for --data, labelled or not, such as "
    "fashion_mnist:test.",
)
@click.option(
    "--test-samples", type=click.IntRange(min=1), help="Samples to test on at most.  [default: all]"
)
@network_options
@report_option
@store_option
@json_option
def command(
    networks: tuple[str, ...],
    runtimes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: tuple[int, ...],
    place: Place,
    rounds: int,
    budget_s: float | None,
    half_width: float,
    fresh: bool,
    layout: str | None,
    timeout_s: float,
    quantizing: Quantizing,
    test: str | None,
    test_samples: int | None,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    report: Path | None,
    location: Location,
    as_json: bool,
) -> int:
    """Export networks, measure and profile them in every runtime, and write a report.

    Each NETWORK is a name of the zoo, path/to/file.py:callable, package.module:callable, an .onnx
    or a .pt2 file. Launches of all combinations are interleaved. Every result is stored at once:
    an interrupted run goes on where it was when the same command is run again. With --test, every
    file is also run on those data, and compared with the network in PyTorch.

    \b
    Example:
      groundspeed run shufflenet_v2_x1_0 mobilenet_v2 --runtimes onnxruntime,ncnn --threads 1,2
      groundspeed run mobilenet_v2 --weights w.pt --precision fp32,int8 --data few/ --test more/
      groundspeed run mobilenet_v2 --on pixel,pi5
    """
    from groundspeed.deploy import running
    from groundspeed.deploy.cli.results import Shown, show
    from groundspeed.deploy.plan import Settings

    if report is not None and len(place.devices) > 1:
        raise UsageError("--report is the page of one device; without it, each gets its own")
    cells = len(networks) * len(runtimes) * len(precisions) * len(threads)
    with RunProgress(console(stderr=True)) as progress:
        work = running.prepare(
            networks,
            runtimes=runtimes,
            precisions=precisions,
            threads=threads,
            folder=location.folder / "exports",
            input_shapes=input_shapes,
            weights=weights,
            layout=layout,
            timeout_s=timeout_s,
            quantizing=quantizing,
            test=test,
            test_samples=test_samples,
            on_progress=progress.say,
        )

        def measure(here: Here) -> Shown:
            result, page = running.run(
                work,
                store=here.store,
                target=here.target,
                settings=Settings(
                    half_width=half_width,
                    max_rounds=rounds,
                    max_seconds=running.SECONDS_PER_CELL * cells if budget_s is None else budget_s,
                    cpus=here.cpus,
                ),
                report=report,
                fresh=fresh,
                command=typed(),
                on_event=here.on_event,
            )
            return Shown(result=result, report=page)

        outcomes = place.on_each(location, progress, measure)
    return show(outcomes, as_json=as_json)
