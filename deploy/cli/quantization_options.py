"""Options that say how integers are fitted to a network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from groundspeed.deploy.cli.values import Names
from groundspeed.deploy.mixing.settings import MixSettings
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.quantization import DEFAULT_OBSERVER, Settings

F = TypeVar("F", bound=Callable[..., Any])


def quantization_options(function: F) -> F:
    """Add how integers are fitted to a network; the command gets one ``quantizing``."""

    @functools.wraps(function)
    def gathered(
        data: str,
        samples: int,
        observer: str,
        per_tensor: bool,
        equalize: bool,
        correct_bias: bool,
        integer_ends: bool,
        keep_float: tuple[str, ...],
        max_drop: float,
        search: str,
        seconds: float,
        **others: Any,
    ) -> Any:
        settings = Settings(
            observer=observer,
            per_channel=not per_tensor,
            equalize=equalize,
            correct_bias=correct_bias,
            integer_ends=integer_ends,
            keep=dict.fromkeys(keep_float, "as asked for"),
        )
        mixing = MixSettings(max_drop=max_drop, search=search, seconds=seconds)
        quantizing = Quantizing(data=data, samples=samples, settings=settings, mixing=mixing)
        return function(quantizing=quantizing, **others)

    for option in (
        click.option(
            "--auto-seconds",
            "seconds",
            type=click.FloatRange(min=0),
            default=30,
            show_default=True,
            help="auto: seconds of launches for each file that is measured.",
        ),
        click.option(
            "--auto-search",
            "search",
            default="greedy",
            show_default=True,
            help="auto: how layers to compute with integers are searched for.",
        ),
        click.option(
            "--max-drop",
            type=click.FloatRange(min=0, max=100),
            default=0.5,
            show_default=True,
            help="auto: points of top-1 that may be lost.",
        ),
        click.option(
            "--keep-float",
            type=Names(),
            default=(),
            help="Layers or modules of an int8 network that stay in floating point.",
        ),
        click.option(
            "--integer-ends", is_flag=True, help="Integers for inputs and outputs too (TFLite)."
        ),
        click.option(
            "--correct-bias",
            is_flag=True,
            help="Take the mean error of rounded weights off the biases (Nagel et al. 2019).",
        ),
        click.option(
            "--equalize",
            is_flag=True,
            help="Even out the ranges of channels across layers first (Nagel et al. 2019).",
        ),
        click.option(
            "--per-tensor", is_flag=True, help="One scale for each weight, not for each channel."
        ),
        click.option(
            "--observer",
            default=DEFAULT_OBSERVER,
            show_default=True,
            help="How ranges are chosen: minmax, moving_average, percentile, mse, entropy.",
        ),
        click.option(
            "--samples",
            type=click.IntRange(min=1),
            default=128,
            show_default=True,
            help="Samples to calibrate on at most.",
        ),
        click.option(
            "--data",
            default="",
            help="What int8 is calibrated on: a folder of images, an .npz file, "
            "file.py:callable, or a set such as fashion_mnist:train.",
        ),
    ):
        gathered = option(gathered)
    return cast(F, gathered)
