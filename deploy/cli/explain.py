"""``groundspeed explain``: which op patterns cost a network its time, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundspeed.deploy.cli import verdicts
from groundspeed.deploy.cli.options import (
    conversion_options,
    fresh_option,
    json_option,
    markdown_option,
    network_options,
    report_option,
    runtimes_option,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.cli.quantization_options import quantization_options
from groundspeed.deploy.cli.results import plain
from groundspeed.deploy.cli.values import Duration
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.documents import write_atomically
from groundspeed.errors import UsageError

if TYPE_CHECKING:
    from groundspeed.deploy.feedback.explain import Explanation
    from groundspeed.deploy.store.location import Location


@click.command()
@click.argument("network")
@runtimes_option
@launch_options
@click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    default=300.0,
    show_default="5min",
    help="Time for taking patterns out and measuring without them, in all runtimes together, such "
    "as 90s or 5min; 0 leaves it at what the profiles say.",
)
@fresh_option
@conversion_options
@quantization_options
@network_options
@report_option
@markdown_option
@store_option
@json_option
def command(
    network: str,
    runtimes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: tuple[int, ...],
    place: Place,
    budget_s: float,
    fresh: bool,
    layout: str | None,
    timeout_s: float,
    quantizing: Quantizing,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    report: Path | None,
    markdown: Path | None,
    location: Location,
    as_json: bool,
) -> int:
    """Find the op patterns that cost a network its time, and prove what they cost.

    NETWORK is named as for 'groundspeed run'. It is measured and profiled in every runtime; the
    patterns found are then taken out, the costliest first, and the network without each is measured
    beside the network itself. An interrupted command goes on where it was when it is run again.

    \b
    Example:
      groundspeed explain shufflenet_v2_x1_0 --budget 5min
      groundspeed explain net.py:build --runtimes ncnn --on pi5 --markdown findings.md
    """
    from groundspeed.deploy import running
    from groundspeed.deploy.feedback.explain import SETTINGS, explain
    from groundspeed.deploy.report.markdown import markdown as as_markdown

    if len(place.devices) > 1:
        raise UsageError("one device is explained at a time; give --on one name")
    with RunProgress(console(stderr=True)) as progress:
        work = running.prepare(
            [network],
            runtimes=runtimes,
            precisions=precisions,
            threads=threads,
            folder=location.folder / "exports",
            input_shapes=input_shapes,
            weights=weights,
            layout=layout,
            timeout_s=timeout_s,
            quantizing=quantizing,
            on_progress=progress.say,
        )

        def measure(here: Here) -> Explanation:
            return explain(
                work,
                store=here.store,
                target=here.target,
                settings=replace(SETTINGS, cpus=here.cpus),
                budget_s=budget_s,
                report=report,
                fresh=fresh,
                command=typed(),
                on_event=here.on_event,
            )

        (outcome,) = place.on_each(location, progress, measure)
    explanation = outcome.result
    assert explanation is not None  # of one device, errors are raised
    data = explanation.report
    if markdown is not None:
        write_atomically(markdown, as_markdown(data))
    if as_json:
        print_json(_plain(explanation))
    else:
        from groundspeed.deploy.report.terminal import summary

        out = console()
        out.print(summary(data))
        for cell, one in zip(explanation.result.cells, explanation.cells, strict=True):
            if one.unexplained:
                out.print(f"not explained: {cell.cell}: {one.unexplained}", markup=False)
        out.print(f"report: {explanation.page}", soft_wrap=True, markup=False)
    unexplained = any(one.unexplained for one in explanation.cells)
    return 1 if explanation.result.failed or unexplained else 0


def _plain(explanation: Explanation) -> Mapping[str, Any]:
    """Return an explanation as a dictionary for machines; durations are nanoseconds."""
    document = plain(explanation.result)
    for row, one in zip(document["cells"], explanation.cells, strict=True):
        row["explained"] = one
    answered = explanation.guidelines
    guidelines = answered and {
        "run": answered.run.id,
        "tables": [verdicts.plain(table) for table in answered.tables],
    }
    return document | {"guidelines": guidelines, "report": explanation.page}
