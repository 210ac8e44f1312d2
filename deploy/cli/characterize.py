"""``groundspeed characterize``: learn what ops cost on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundspeed.deploy.cli.options import (
    float_precisions_option,
    fresh_option,
    json_option,
    runtimes_option,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.errors import UsageError

if TYPE_CHECKING:
    from groundspeed.deploy.feedback.costs.characterize import Learned
    from groundspeed.deploy.store.location import Location

WARM_S = 0.3  # of plain inferences before the profiled ones, which have plain ones beside them


@click.command()
@click.argument("networks", nargs=-1)
@runtimes_option
@float_precisions_option
@launch_options
@click.option(
    "--runs",
    type=click.IntRange(min=2),
    default=50,
    show_default=True,
    help="Profiled runs of each launch.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Launches of each network; their fastest runs are learned from.",
)
@click.option(
    "--microbenchmarks/--no-microbenchmarks",
    default=True,
    show_default=True,
    help="Measure each distinct op of the networks apart from them, too.",
)
@fresh_option
@store_option
@json_option
def command(
    networks: tuple[str, ...],
    runtimes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: tuple[int, ...],
    place: Place,
    runs: int,
    rounds: int,
    microbenchmarks: bool,
    fresh: bool,
    location: Location,
    as_json: bool,
) -> int:
    """Profile networks and their ops on a device, so that others can be predicted there.

    Without NETWORKS, those of the zoo are taken; name your own to have their kind among them. What
    is learned lies in the results; an interrupted command goes on where it was.

    \b
    Example:
      groundspeed characterize --on pi5 --runtimes ncnn --threads 1,4
    """
    from groundspeed.deploy import running
    from groundspeed.deploy.feedback.costs.characterize import NETWORKS, learned
    from groundspeed.deploy.feedback.costs.gather import gather
    from groundspeed.deploy.feedback.costs.patchwork import with_patchworks
    from groundspeed.deploy.plan import Settings
    from groundspeed.deploy.report.costs import learned_table

    if len(place.devices) > 1:
        raise UsageError("one device is characterized at a time; give --on one name")
    with RunProgress(console(stderr=True)) as progress:
        work = running.prepare(
            networks or NETWORKS,
            runtimes=runtimes,
            precisions=precisions,
            threads=threads,
            folder=location.folder / "exports",
            on_progress=progress.say,
        )
        if microbenchmarks:
            work = with_patchworks(work, progress.say)

        def profile(here: Here) -> tuple[Learned, ...]:
            running.measure(
                work,
                store=here.store,
                target=here.target,
                settings=Settings(
                    min_rounds=0,
                    max_rounds=0,
                    min_seconds=WARM_S,
                    profile_runs=runs,
                    profile_rounds=rounds,
                    cpus=here.cpus,
                ),
                fresh=fresh,
                command=typed(),
                on_event=here.on_event,
            )
            return learned(gather(here.store, here.target.name))

        (outcome,) = place.on_each(location, progress, profile)
    assert outcome.result is not None  # of one device, errors are raised
    if as_json:
        print_json(outcome.result)
    else:
        for one in outcome.result:
            console().print(learned_table(one))
    return 0
