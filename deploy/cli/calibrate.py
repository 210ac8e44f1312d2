"""``groundspeed calibrate``: how far can a device be trusted?"""

from __future__ import annotations

import time
from pathlib import Path

import click

from groundspeed.deploy.cli.check_options import rules_options
from groundspeed.deploy.cli.options import (
    float_precisions_option,
    json_option,
    network_options,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.cli.values import Duration, Names
from groundspeed.deploy.gate.decision import Rules
from groundspeed.deploy.store.location import Location

SUBJECT = "shufflenet_v2_x0_5"


@click.command()
@click.argument("subjects", nargs=-1)
@click.option(
    "--comparisons",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Comparisons of each file with itself to make.",
)
@click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    help="Time after which no comparison begins, such as 30min.",
)
@rules_options
@click.option(
    "--runtimes",
    type=Names(),
    default=("onnxruntime",),
    show_default="onnxruntime",
    help="Runtimes.",
)
@float_precisions_option
@launch_options
@network_options
@store_option
@json_option
def command(
    subjects: tuple[str, ...],
    comparisons: int,
    budget_s: float | None,
    rules: Rules,
    runtimes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: tuple[int, ...],
    place: Place,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    location: Location,
    as_json: bool,
) -> int:
    """Compare files with themselves on a device, and say how small a change it can show.

    SUBJECTS are networks or folders of artifacts, by default a small network. What is measured adds
    to what earlier calls measured under the same conditions; 'groundspeed check' shows it beside
    its verdicts there, and says when the conditions have changed since.

    \b
    Example:
      groundspeed calibrate --on pi5 --comparisons 30
    """
    from groundspeed.deploy.gate.comparing import Contest, compare
    from groundspeed.deploy.gate.files import files_of
    from groundspeed.deploy.gate.ledger import calibrations, null_runs
    from groundspeed.deploy.report.calibration import text
    from groundspeed.deploy.store.store import Store

    until = time.monotonic() + budget_s if budget_s is not None else None
    with RunProgress(console(stderr=True)) as progress:
        with Store(location) as store:
            found = files_of(
                subjects or (SUBJECT,),
                runtimes=runtimes,
                precisions=precisions,
                input_shapes=input_shapes,
                weights=weights,
                store=store,
                on_progress=progress.say,
            )

        def measure(here: Here) -> None:
            done = len(null_runs(here.store, here.target.name))
            for number in range(comparisons):
                for artifact in found:
                    for count in threads:
                        if until is not None and time.monotonic() > until:
                            return
                        compare(
                            Contest(baseline=artifact, candidate=artifact, threads=count),
                            store=here.store,
                            target=here.target,
                            rules=rules,
                            cpus=here.cpus,
                            seed=done + number,
                            even_if_same=True,
                            command=typed(),
                            on_event=here.on_event,
                        )

        for outcome in place.on_each(location, progress, measure):
            if outcome.error is not None:
                raise outcome.error
    with Store(location) as store:
        known = [one for device in place.devices for one in calibrations(store, device, rules)]
    if as_json:
        print_json(known)
    else:
        console().print(text(known, rules))
    return 0
