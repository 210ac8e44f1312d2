"""Options and arguments that several commands share, and how they are parsed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from groundspeed.deploy.cli.place import Place
from groundspeed.deploy.mixing.settings import MixSettings
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.errors import UsageError
from groundspeed.quantization import DEFAULT_OBSERVER, Settings

F = TypeVar("F", bound=Callable[..., Any])


class Names(click.ParamType[tuple[str, ...]]):
    """Names separated by commas: ``onnx,ncnn``."""

    name = "names"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the names, without empty ones."""
        if isinstance(value, tuple):
            return value
        names = tuple(part.strip() for part in str(value).split(",") if part.strip())
        if not names:
            self.fail("at least one name is needed", param, ctx)
        return names


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers of at least ``minimum``, separated by commas; a range ``0-3`` is allowed."""

    name = "numbers"

    def __init__(self, minimum: int = 0) -> None:
        self.minimum = minimum

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the numbers in the order given."""
        if isinstance(value, tuple):
            return value
        numbers: list[int] = []
        for part in str(value).split(","):
            first, _, last = part.strip().partition("-")
            try:
                numbers.extend(range(int(first), int(last or first) + 1))
            except ValueError:
                self.fail(f"'{part}' is no whole number or range", param, ctx)
        if not numbers or min(numbers) < self.minimum:
            self.fail(f"'{value}': numbers of at least {self.minimum} are needed", param, ctx)
        return tuple(numbers)


class Shape(click.ParamType[tuple[int, ...]]):
    """A tensor shape: ``1,3,224,224`` or ``1x3x224x224``."""

    name = "shape"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the dimensions."""
        if isinstance(value, tuple):
            return value
        try:
            shape = tuple(int(part) for part in str(value).replace("x", ",").split(","))
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            self.fail(f"'{value}' is no shape; write it like 1,3,224,224", param, ctx)
        return shape


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")

store_option = click.option(
    "--store",
    "store_folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="GROUNDSPEED_STORE",
    default=Path("groundspeed-results"),
    show_default=True,
    help="Folder of the results.",
)


emulated_option = click.option(
    "--emulated",
    is_flag=True,
    help="Show figures of emulated devices too; they say nothing about the real ones.",
)


_cores_option = click.option(
    "--cores",
    "--cpus",
    "cores",
    default="",
    help="Cores to stay on: big, little, or numbers such as 0-3,6.",
)


def device_option(function: F) -> F:
    """Add one device to compute on, where nothing is timed, handed on as a :class:`Place`."""

    @functools.wraps(function)
    def wrapper(*, device: str, cores: str, **others: Any) -> Any:
        from groundspeed.deploy.devices.pool import Keeping

        return function(place=Place(devices=(device,), cores=cores, keeping=Keeping()), **others)

    on = click.option(
        "--on",
        "device",
        default="local",
        show_default=True,
        help="Device to compute on: a name of groundspeed.toml, ssh://user@host, adb://serial.",
    )
    return on(_cores_option(cast(F, wrapper)))


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


def launch_options(function: F) -> F:
    """Add how an artifact is run: threads, and the ``place`` where."""
    return click.option(
        "--threads",
        type=Numbers(minimum=1),
        default=(1,),
        show_default="1",
        help="Thread counts, such as 1,2.",
    )(_place_options(function))


def _place_options(function: F) -> F:
    """Add the device, its cores and its clocks, handed on as one :class:`Place`."""

    @functools.wraps(function)
    def wrapper(
        *,
        devices: tuple[str, ...],
        cores: str,
        lock_clocks: bool,
        cooldown_s: float,
        patience_s: float,
        **others: Any,
    ) -> Any:
        from groundspeed.deploy.devices.pool import Keeping

        keeping = Keeping(lock_clocks=lock_clocks, cooldown_s=cooldown_s, patience_s=patience_s)
        return function(place=Place(devices=devices, cores=cores, keeping=keeping), **others)

    decorated = cast(F, wrapper)
    for option in (
        click.option(
            "--cooldown",
            "cooldown_s",
            type=click.FloatRange(min=0),
            default=300,
            show_default=True,
            help="Longest wait for a hot device before a launch, in seconds.",
        ),
        click.option(
            "--patience",
            "patience_s",
            type=click.FloatRange(min=0),
            default=120,
            show_default=True,
            help="Longest wait for a device that is lost in the midst of it, in seconds.",
        ),
        click.option(
            "--lock-clocks", is_flag=True, help="Hold the device's clocks steady meanwhile."
        ),
        _cores_option,
        click.option(
            "--on",
            "devices",
            type=Names(),
            default=("local",),
            show_default="local",
            help="Devices to measure on, at once: names of groundspeed.toml, ssh://user@host, "
            "adb://serial.",
        ),
    ):
        decorated = option(decorated)
    return decorated


def round_options(function: F) -> F:
    """Add how many launches are made, and when there are enough."""
    for option in (
        click.option(
            "--fresh", is_flag=True, help="Begin anew even if an interrupted run can go on."
        ),
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
            type=click.FloatRange(min=0),
            help="Seconds after which no round of launches begins.  [default: 20 for each cell]",
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


def existing_store(folder: Path) -> Path:
    """Return the folder of a store that is there.

    Raises:
        UsageError: nothing was stored there yet; reading must not make a store.
    """
    if not folder.is_dir():
        raise UsageError(
            f"there are no results in {folder}; measure something first, or name another --store"
        )
    return folder
