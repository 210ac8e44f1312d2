"""Options and arguments that several commands share, and how they are parsed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from groundspeed.deploy.cli.values import Duration, Names, Shape, StoreLocation
from groundspeed.deploy.store.location import FOLDER, Location
from groundspeed.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")

store_option = click.option(
    "--store",
    "location",
    type=StoreLocation(),
    envvar="GROUNDSPEED_STORE",
    default=str(FOLDER),
    show_default=True,
    help="Where the results are: a folder, or a database postgresql://USER@HOST/DATABASE.",
)

runtimes_option = click.option(
    "--runtimes",
    type=Names(),
    default=("onnxruntime", "litert", "ncnn"),
    show_default="onnxruntime,litert,ncnn",
    help="Runtimes.",
)

float_precisions_option = click.option(
    "--precision",
    "precisions",
    type=Names(),
    default=("fp32",),
    show_default="fp32",
    help="Precisions that need no data: fp32, fp16.",
)

fresh_option = click.option(
    "--fresh", is_flag=True, help="Begin anew even if an interrupted run can go on."
)

report_option = click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the HTML page; by default into the results.",
)

markdown_option = click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write what is found as Markdown.",
)

emulated_option = click.option(
    "--emulated",
    is_flag=True,
    help="Show figures of emulated devices too; they say nothing about the real ones.",
)


def network_options(function: F) -> F:
    """Add how a network is loaded: its input shapes and its weights."""
    function = click.option(
        "--weights",
        type=click.Path(path_type=Path, dir_okay=False),
        help="State dict to load (.pt or .safetensors).",
    )(function)
    return click.option(
        "--input-shape",
        "input_shapes",
        type=Shape(),
        multiple=True,
        help="Shape of an input, batch included; once for each input.",
    )(function)


def conversion_options(function: F) -> F:
    """Add how a network is converted: precisions, layout, and how long it may take."""
    for option in (
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(min=1),
            default=600,
            show_default=True,
            help="Longest time for one converter, in seconds.",
        ),
        click.option(
            "--layout",
            type=click.Choice(["NCHW", "NHWC"]),
            help="Layout of TFLite's image inputs.  [default: NHWC]",
        ),
        click.option(
            "--precision",
            "precisions",
            type=Names(),
            default=("fp32",),
            show_default="fp32",
            help="Precisions: fp32, fp16, int8, auto (int8 in the layers where it is measured to "
            "pay), int8_weight_only; ONNX and TFLite also int8_dynamic.",
        ),
    ):
        function = option(function)
    return function


def round_options(function: F) -> F:
    """Add how many launches are made, and when there are enough."""
    for option in (
        fresh_option,
        click.option(
            "--half-width",
            type=click.FloatRange(min=0, max=1),
            default=0.03,
            show_default=True,
            help="Stop when every interval reaches no further than this share of its estimate.",
        ),
        click.option(
            "--budget",
            "budget_s",
            type=Duration(),
            help="Time after which no round of launches begins, such as 90s or 5min.  [default: "
            "20s for each cell]",
        ),
        click.option(
            "--rounds",
            type=click.IntRange(min=1),
            default=20,
            show_default=True,
            help="Launches of each cell at most.",
        ),
    ):
        function = option(function)
    return function


def artifact_options(function: F) -> F:
    """Add which artifacts, and what a bare file does not say about itself."""
    for option in (
        click.option(
            "--input-shape",
            "input_shapes",
            type=Shape(),
            multiple=True,
            help="Shape of a bare ncnn network's input, batch included; once for each input.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["fp32", "fp16"]),
            default="fp32",
            show_default=True,
            help="What a bare file is computed with; an artifact says it itself.",
        ),
        click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path)),
    ):
        function = option(function)
    return function


def existing_store(location: Location) -> Location:
    """Return where a store is, if it is there.

    Raises:
        UsageError: nothing was stored there yet; reading must not make a store.
    """
    if not location.server and not location.folder.is_dir():
        raise UsageError(
            f"there are no results in {location}; measure something first, or name another --store"
        )
    return location
