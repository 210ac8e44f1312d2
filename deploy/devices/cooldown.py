"""Waiting for a device that is hot, or not the one that it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from groundspeed.deploy.devices.stability import HOT_BATTERY_C
from groundspeed.deploy.devices.state import State, read_state
from groundspeed.deploy.targets.link import Link

LIMIT_S = 300.0
POLL_S = 10.0  # a look costs the device some work too


@dataclass(frozen=True, kw_only=True)
class Waited:
    """How a wait ended.

    Attributes:
        ready: whether the device is cool.
        seconds: how long it took.
        reason: why it is not, "" when it is.
    """

    ready: bool
    seconds: float
    reason: str


def hot(state: State) -> str:
    """Return what says that a device is too hot to be measured, "" if nothing does."""
    battery = state.temperatures_c.get("battery")
    if battery is not None and battery >= HOT_BATTERY_C:
        return f"its battery has {battery:.0f} °C"
    if state.throttled:
        return "it says that it holds its clocks down"
    return ""


def cool_down(
    link: Link,
    *,
    limit_s: float = LIMIT_S,
    on_progress: Callable[[str], None] = lambda sentence: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Wait until a device is cool, or the limit is reached.

    Args:
        link: the way to it.
        limit_s: longest time to wait.
        on_progress: called with a sentence before each pause.
        sleep: what pauses.

    Raises:
        DeviceLost, DeviceRefused: as in ``read_state``.
    """
    begin = time.monotonic()
    paused = 0.0
    while True:
        reason = hot(read_state(link))
        waited = max(time.monotonic() - begin, paused)
        if not reason or waited >= limit_s:
            return Waited(ready=not reason, seconds=waited, reason=reason)
        pause = min(POLL_S, limit_s - waited)
        on_progress(f"{link.name} is hot: {reason}; waiting, {limit_s - waited:.0f} s at most")
        sleep(pause)
        paused += pause
