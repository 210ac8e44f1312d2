"""Everything that a run needs of a device, checked, and what to do about what is missing."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from groundspeed.deploy.agents.choosing import OLDEST_PYTHON, runs_python
from groundspeed.deploy.agents.wheels import provisioned
from groundspeed.deploy.devices.clusters import clusters
from groundspeed.deploy.devices.config import Device
from groundspeed.deploy.devices.stability import HOT_BATTERY_C
from groundspeed.deploy.devices.state import State, read_state
from groundspeed.deploy.targets.link import Link
from groundspeed.errors import GroundspeedError
from groundspeed.units import bytes_text

ENOUGH_BYTES = 500_000_000
LOW_BATTERY = 0.2
HOT_ZONE_C = 70.0
# Looked for, not imported: that would take seconds each.
_IMPORTS = """
PYTHONPATH=$2 exec "$1" -c '
from importlib.util import find_spec
for name in "numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime", "ncnn":
    if find_spec(name):
        print(name)
'
"""


class Grade(enum.StrEnum):
    """How a check came out."""

    GOOD = "good"
    MIND = "mind"  # a run is possible, its figures deserve less trust
    BAD = "bad"  # a run is not possible
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        grade: how it came out.
        found: what was found, in words.
        advice: what to do about it, "" where nothing needs to be done.
    """

    name: str
    grade: Grade
    found: str
    advice: str = ""


def examine(device: Device, link: Link) -> Iterator[Check]:
    """Yield each check as soon as it is made; the first bad connection ends them."""
    try:
        folder = link.folder
        state = read_state(link)
    except GroundspeedError as error:
        yield Check(name="reachable", grade=Grade.BAD, found=str(error))
        return
    system = f"{state.model or state.name}, {state.architecture}, {state.system}"
    yield Check(name="reachable", grade=Grade.GOOD, found=system)
    yield _space(state, folder)
    yield _tools(state)
    yield _agent(device, state, link)
    for look in (_clocks, _heat, _cores, _power, _screen, _load):
        yield look(state)
    if state.emulated:
        yield Check(
            name="real",
            grade=Grade.MIND,
            found="it is emulated",
            advice="its outputs count, its latencies say nothing",
        )


def _space(state: State, folder: str) -> Check:
    if state.free_bytes is None:
        return Check(name="space", grade=Grade.UNKNOWN, found=f"{folder} does not say")
    found = f"{bytes_text(state.free_bytes)} free in {folder}"
    if state.free_bytes < ENOUGH_BYTES:
        return Check(
            name="space", grade=Grade.MIND, found=found, advice="free some, or remove that folder"
        )
    return Check(name="space", grade=Grade.GOOD, found=found)


def _tools(state: State) -> Check:
    missing = [tool for tool in ("setsid", "sha256sum") if tool not in state.tools]
    if missing:
        return Check(
            name="tools",
            grade=Grade.BAD,
            found=f"it has no {' and no '.join(missing)}",
            advice="install coreutils and util-linux, busybox or toybox there",
        )
    return Check(name="tools", grade=Grade.GOOD, found="all there")


def _agent(device: Device, state: State, link: Link) -> Check:
    if device.agent == "native" or not runs_python(state):
        why = "as asked for" if device.agent == "native" else f"Python {state.python or 'none'}"
        return Check(name="runtimes", grade=Grade.GOOD, found=f"the native agent ({why})")
    packages = provisioned(link)
    found = link.run(_IMPORTS, [device.python, ":".join(packages)], timeout_s=120).text.split()
    engines = [name for name in found if name != "numpy"]
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if "numpy" not in found or not engines:
        return Check(
            name="runtimes",
            grade=Grade.BAD,
            found=f"Python {state.python} finds no engine ({', '.join(found) or 'nothing'})",
            advice=f"groundspeed devices provision {device.name}",
        )
    return Check(
        name="runtimes",
        grade=Grade.GOOD,
        found=f"Python {state.python} (at least {oldest}) with {', '.join(engines)}",
    )


def _clocks(state: State) -> Check:
    if not state.policies:
        return Check(
            name="clocks",
            grade=Grade.UNKNOWN,
            found="it does not say them",
            advice="mind drifts within a launch, which are looked for",
        )
    governors = ", ".join(sorted({p.governor for p in state.policies if p.governor}))
    for policy in state.policies:
        now, possible = policy.highest_hz, policy.possible_hz
        if now is not None and possible is not None and now < possible:
            return Check(
                name="clocks",
                grade=Grade.MIND,
                found=f"CPU {policy.cpus[0]} is held at {now / 1e9:.2f} GHz, "
                f"it can {possible / 1e9:.2f}",
                advice="let it cool, or see who limits it",
            )
    if governors != "performance":
        return Check(
            name="clocks",
            grade=Grade.MIND,
            found=f"governor {governors}",
            advice="--lock-clocks gives steadier figures where the device lets us",
        )
    return Check(name="clocks", grade=Grade.GOOD, found=f"governor {governors}")


def _heat(state: State) -> Check:
    if not state.temperatures_c and state.throttled is None:
        return Check(name="heat", grade=Grade.UNKNOWN, found="it does not say")
    hottest = max(state.temperatures_c.items(), key=lambda item: item[1], default=None)
    words = f"{hottest[0]} {hottest[1]:.0f} °C" if hottest else "no temperature"
    battery = state.temperatures_c.get("battery")
    hot = (battery is not None and battery >= HOT_BATTERY_C) or (
        hottest is not None and hottest[1] >= HOT_ZONE_C
    )
    if state.throttled or hot:
        why = "throttled, " if state.throttled else ""
        return Check(name="heat", grade=Grade.MIND, found=why + words, advice="let it cool")
    return Check(name="heat", grade=Grade.GOOD, found=words)


def _cores(state: State) -> Check:
    groups = clusters(state)
    words = " + ".join(f"{len(group)} of one kind (CPU {group[0]}-{group[-1]})" for group in groups)
    if "taskset" not in state.tools:
        words += ", the agent sets affinity itself"
    return Check(name="cores", grade=Grade.GOOD if groups else Grade.UNKNOWN, found=words or "none")


def _power(state: State) -> Check:
    if state.battery is None:
        return Check(name="power", grade=Grade.GOOD, found="no battery")
    words = f"battery {state.battery:.0%}" + (", charging" if state.charging else "")
    if state.low_power:
        return Check(
            name="power", grade=Grade.MIND, found=f"{words}, saving power", advice="turn that off"
        )
    if state.battery < LOW_BATTERY and not state.charging:
        return Check(name="power", grade=Grade.MIND, found=words, advice="charge it first")
    return Check(name="power", grade=Grade.GOOD, found=words)


def _screen(state: State) -> Check:
    if state.awake is None:
        return Check(name="screen", grade=Grade.GOOD, found="none that it tells of")
    if not state.awake:
        return Check(
            name="screen",
            grade=Grade.MIND,
            found="off: the system may slow down what runs",
            advice="wake it, and let it stay on while charging (developer options)",
        )
    front = f", {state.foreground} in front" if state.foreground else ""
    return Check(name="screen", grade=Grade.GOOD, found=f"on{front}")


def _load(state: State) -> Check:
    if state.load is None:
        return Check(name="load", grade=Grade.UNKNOWN, found="it does not say")
    words = f"{state.load:.1f} on {len(state.cpus)} CPUs"
    if state.load > 0.5 * max(len(state.cpus), 1):
        return Check(name="load", grade=Grade.MIND, found=words, advice="end what else runs there")
    return Check(name="load", grade=Grade.GOOD, found=words)


def worst(checks: list[Check]) -> Grade:
    """Return the worst grade: BAD means that a run is not possible."""
    order: Callable[[Grade], int] = [Grade.GOOD, Grade.UNKNOWN, Grade.MIND, Grade.BAD].index
    return max((check.grade for check in checks), key=order, default=Grade.UNKNOWN)
