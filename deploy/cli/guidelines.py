"""``groundspeed guidelines``: do the ShuffleNet V2 paper's guidelines hold on this device?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundspeed.deploy.cli.options import (
    float_precisions_option,
    fresh_option,
    json_option,
    markdown_option,
    report_option,
    runtimes_option,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.cli.values import Duration, Numbers
from groundspeed.deploy.cli.verdicts import plain
from groundspeed.documents import write_atomically
from groundspeed.errors import UsageError

if TYPE_CHECKING:
    from groundspeed.deploy.feedback.guidelines.measure import Remeasured
    from groundspeed.deploy.store.location import Location

GUIDELINES = ("G1", "G2", "G3", "G4")


@click.command()
@click.argument(
    "guidelines",
    nargs=-1,
    type=click.Choice(GUIDELINES, case_sensitive=False),
    metavar="[G1|G2|G3|G4]...",
)
@runtimes_option
@launch_options
@click.option(
    "--widths",
    type=Numbers(minimum=1),
    default=(1,),
    show_default="1",
    help="The paper's columns x1, x2 and x4: channels times 1, 2, 4, such as 1,2.",
)
@click.option(
    "--channels",
    "column",
    type=click.Choice(["arm", "gpu"]),
    default="arm",
    show_default=True,
    help="Whose numbers of channels: those of the paper's phone or of its graphics card.",
)
@float_precisions_option
@click.option("--batch", type=click.IntRange(min=1), default=1, help="Images at once.")
@click.option(
    "--blocks", type=click.IntRange(min=1), default=10, show_default=True, help="Blocks stacked."
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    default=56,
    show_default=True,
    help="Height and width of all maps.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="Launches of each network at most; a verdict needs 5.",
)
@click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    help="Time after which no round of launches begins, such as 90s or 5min.  [default: 40s for "
    "each network]",
)
@fresh_option
@report_option
@markdown_option
@store_option
@json_option
def command(
    guidelines: tuple[str, ...],
    runtimes: tuple[str, ...],
    threads: tuple[int, ...],
    place: Place,
    widths: tuple[int, ...],
    column: str,
    precisions: tuple[str, ...],
    batch: int,
    blocks: int,
    size: int,
    rounds: int,
    budget_s: float | None,
    fresh: bool,
    report: Path | None,
    markdown: Path | None,
    location: Location,
    as_json: bool,
) -> int:
    """Measure whether the ShuffleNet V2 paper's guidelines hold on a device.

    They are G1 (equal channel widths), G2 (few groups in convolutions), G3 (few fragments)
    and G4 (few element-wise ops); by default all. Each has networks of about equal MACs that go
    against it step by step, as the paper built them; all of them are launched in rounds. Where a
    device contradicts the paper, that is a finding, not an error.

    \b
    Example:
      groundspeed guidelines
      groundspeed guidelines G2 G3 --runtimes ncnn --widths 1,2 --on pi5
    """
    from groundspeed.deploy.feedback.guidelines import measure as measuring
    from groundspeed.deploy.feedback.guidelines.asked import Asked
    from groundspeed.deploy.feedback.guidelines.experiment import Column

    if len(place.devices) > 1:
        raise UsageError("one device is judged at a time; give --on one name")
    asked = Asked(
        guidelines=tuple(name for name in GUIDELINES if name in guidelines or not guidelines),
        column=Column(column),
        widths=widths,
        blocks=blocks,
        size=size,
        batch=batch,
    )
    networks = len(asked.subjects) * len(runtimes) * len(precisions) * len(threads)
    with RunProgress(console(stderr=True)) as progress:
        work = measuring.prepare(
            asked,
            runtimes=runtimes,
            precisions=precisions,
            threads=threads,
            folder=location.folder / "exports",
            on_progress=progress.say,
        )

        def measure(here: Here) -> Remeasured:
            return measuring.measure(
                asked,
                work,
                store=here.store,
                target=here.target,
                settings=replace(
                    measuring.LAUNCHES,
                    max_rounds=rounds,
                    max_seconds=measuring.SECONDS_PER_NETWORK * networks
                    if budget_s is None
                    else budget_s,
                    cpus=here.cpus,
                ),
                page=report,
                fresh=fresh,
                command=typed(),
                on_event=here.on_event,
            )

        (outcome,) = place.on_each(location, progress, measure)
    remeasured = outcome.result
    assert remeasured is not None  # of one device, errors are raised
    if markdown is not None:
        from groundspeed.deploy.report.guidelines_markdown import markdown as as_markdown

        write_atomically(markdown, as_markdown(remeasured))
    if as_json:
        print_json(_plain(remeasured))
    else:
        from groundspeed.deploy.report.guidelines_terminal import terminal

        out = console()
        out.print(terminal(remeasured))
        out.print(f"report: {remeasured.page}", soft_wrap=True, markup=False)
    failed = any(row.failure for table in remeasured.tables for row in table.rows)
    return 1 if failed or remeasured.result.failed else 0


def _plain(remeasured: Remeasured) -> dict[str, Any]:
    """Return everything as a dictionary for machines; durations are nanoseconds."""
    run = remeasured.result.run
    return {
        "run": run.id,
        "device": run.plan.target,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "stopped": run.stopped,
        "tables": [plain(table) for table in remeasured.tables],
        "report": remeasured.page,
    }
