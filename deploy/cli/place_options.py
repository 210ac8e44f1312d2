"""Options that say where a command works: devices, their cores and their clocks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from groundspeed.deploy.cli.place import Place
from groundspeed.deploy.cli.values import Names, Numbers

F = TypeVar("F", bound=Callable[..., Any])

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
