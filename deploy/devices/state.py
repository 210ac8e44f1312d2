"""What a device is and how it is doing, read by one script in one round trip.

``state.sh`` prints lines of ``key=value``; here they become a :class:`State`. Sizes are bytes,
frequencies hertz, temperatures degrees Celsius. What could not be read is ``None``, never guessed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from groundspeed.deploy.targets.link import Link
from groundspeed.errors import DeviceRefused
from groundspeed.measurement import Conditions, Machine
from groundspeed.runtimes.conditions import FEATURES

TIMEOUT_S = 60.0
_ANDROID_MODERATE = 2  # Android's THERMAL_STATUS_MODERATE: from here on, clocks go down
_RASPBERRY_NOW = 0b1111  # under-voltage, frequency capped, throttled, soft limit: at this moment


@dataclass(frozen=True, kw_only=True)
class Policy:
    """CPUs whose clocks go together, as the kernel's cpufreq has them.

    Attributes:
        cpus: their numbers.
        governor: who sets their clock.
        current_hz, lowest_hz, highest_hz: the clock now, and its limits now.
        possible_hz: the highest clock that the hardware has.
        governors: who else could set it.
        writable: whether we may change that.
    """

    cpus: tuple[int, ...]
    governor: str | None = None
    current_hz: float | None = None
    lowest_hz: float | None = None
    highest_hz: float | None = None
    possible_hz: float | None = None
    governors: tuple[str, ...] = ()
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class State:
    """A device at one moment.

    Attributes:
        name: host name.
        model: board or phone, else processor.
        architecture: "aarch64", "armv7l", "x86_64", ...
        system: kernel with its build; on Android the build's fingerprint.
        boot: changes with each start of the device.
        cpus: numbers of the CPUs that are on.
        capacities: CPU -> relative strength, 1024 the strongest.
        parts: CPU -> the processor's part number, as in ``/proc/cpuinfo``.
        policies: groups of CPUs with a common clock.
        temperatures_c: zone -> temperature.
        cooling: cooling device -> how far it has gone, 0 not at all.
        throttled: whether something says that the clocks are held down for heat or power.
        load: 1-minute load average.
        memory_bytes: installed memory.
        free_bytes: free space where Groundspeed keeps its files.
        battery: 0 to 1.
        charging: whether power comes from outside.
        awake: whether the screen is on.
        low_power: whether a power-saving mode is on.
        foreground: the app in front.
        features: instruction-set extensions that matter for speed.
        emulated: whether the device is known to be emulated.
        android: whether it is an Android device.
        root: whether commands run as root there.
        python: version of its ``python3``.
        glibc_minor: minor version of its GNU C library 2, None where it has another.
        tools: which of the programs that we can use it has.
    """

    name: str
    architecture: str
    system: str
    model: str | None = None
    boot: str | None = None
    cpus: tuple[int, ...] = ()
    capacities: dict[int, int]
    parts: dict[int, str]
    policies: tuple[Policy, ...] = ()
    temperatures_c: dict[str, float]
    cooling: dict[str, int]
    throttled: bool | None = None
    load: float | None = None
    memory_bytes: int | None = None
    free_bytes: int | None = None
    battery: float | None = None
    charging: bool | None = None
    awake: bool | None = None
    low_power: bool | None = None
    foreground: str | None = None
    features: tuple[str, ...] = ()
    emulated: bool | None = None
    android: bool = False
    root: bool = False
    python: str | None = None
    glibc_minor: int | None = None
    tools: tuple[str, ...] = ()

    @property
    def machine(self) -> Machine:
        """What does not change while the device is up."""
        governors = {policy.governor for policy in self.policies if policy.governor}
        return Machine(
            name=self.name,
            model=self.model,
            architecture=self.architecture,
            system=self.system,
            cpus=len(self.cpus) or 1,
            memory_bytes=self.memory_bytes,
            governor=", ".join(sorted(governors)) or None,
            features=self.features,
            emulated=self.emulated,
        )

    @property
    def conditions(self) -> Conditions:
        """How it is doing, in the words of a launch."""
        clocks = {
            f"cpu{cpu}": policy.current_hz
            for policy in self.policies
            if policy.current_hz is not None
            for cpu in policy.cpus
        }
        return Conditions(
            at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            frequencies_hz=clocks or None,
            temperatures_c=self.temperatures_c or None,
            load=self.load,
            throttled=self.throttled,
            battery=self.battery,
        )


def read_state(link: Link, root: str = "") -> State:
    """Return the state of a device.

    Args:
        link: the way to it.
        root: what stands before ``/proc`` and ``/sys`` there, for tests.

    Raises:
        DeviceLost: the link broke.
        DeviceRefused: its shell does not run scripts as POSIX says.
    """
    text = files(__package__).joinpath("state.sh").read_text(encoding="utf-8")
    done = link.run(text, [link.folder, root], timeout_s=TIMEOUT_S)
    said = done.stdout.decode(errors="replace")
    if "end=1" not in said.splitlines():
        raise DeviceRefused(
            f"{link.name} cannot say how it is doing ({done.complaint}); it needs a POSIX shell "
            "and coreutils, busybox or toybox"
        )
    return parse_state(said)


def parse_state(text: str) -> State:
    """Return the state that lines of ``key=value`` tell; lines of another kind are left out."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    policies = _policies(said)
    android = "property.ro.build.fingerprint" in said
    maker = said.get("property.ro.product.manufacturer", "")
    phone = f"{maker} {said.get('property.ro.product.model', '')}".strip()
    features = set(said.get("features", "").split())
    return State(
        name=said.get("name", "unknown"),
        model=phone or said.get("model") or said.get("processor"),
        architecture=said.get("architecture", "unknown"),
        system=said.get("property.ro.build.fingerprint") or said.get("system", "unknown"),
        boot=said.get("boot"),
        cpus=_online(said),
        capacities={
            cpu: int(value) for cpu, value in _by_cpu(said, "capacity").items() if value.isdecimal()
        },
        parts=_by_cpu(said, "part"),
        policies=policies,
        temperatures_c=_temperatures_c(said),
        cooling=_cooling(said),
        throttled=_throttled(said, policies),
        load=_number(said.get("load", "").partition(" ")[0]),
        memory_bytes=_kibibytes(said.get("memory")),
        free_bytes=_kibibytes(said.get("free")),
        battery=_battery(said),
        charging=_charging(said),
        awake=_is(said.get("android.wakefulness"), "Awake"),
        low_power=_is(said.get("android.low_power"), "1"),
        foreground=_foreground(said.get("android.foreground")),
        features=tuple(name for name in FEATURES if name in features),
        emulated=_emulated(said),
        android=android,
        root=said.get("user") == "0",
        python=said.get("python"),
        glibc_minor=_glibc_minor(said.get("glibc")),
        tools=tuple(sorted(key[5:] for key in said if key.startswith("tool."))),
    )


def cpu_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers in the kernel's spelling: "0-3,7" and "0 1 2" alike."""
    numbers: list[int] = []
    for part in re.split(r"[,\s]+", text.strip()):
        found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if found:
            numbers.extend(range(int(found[1]), int(found[2] or found[1]) + 1))
    return tuple(numbers)


def _online(said: Mapping[str, str]) -> tuple[int, ...]:
    listed = cpu_numbers(said.get("cpus.online") or said.get("cpus.present") or "")
    count = _number(said.get("cpus.count"))
    return listed or tuple(range(int(count or 0)))


def _by_cpu(said: Mapping[str, str], key: str) -> dict[int, str]:
    found = {}
    for name, value in said.items():
        known, _, cpu = name.partition(".")
        if known == key and cpu.isdecimal():
            found[int(cpu)] = value
    return found


def _policies(said: Mapping[str, str]) -> tuple[Policy, ...]:
    groups: dict[int, dict[str, str]] = {}
    for name, value in said.items():
        found = re.fullmatch(r"policy\.(\d{1,4})\.(\w+)", name)
        if found:
            groups.setdefault(int(found[1]), {})[found[2]] = value
    return tuple(
        Policy(
            cpus=cpu_numbers(group.get("related_cpus", "")) or (number,),
            governor=group.get("scaling_governor"),
            current_hz=_kilohertz(group.get("scaling_cur_freq")),
            lowest_hz=_kilohertz(group.get("scaling_min_freq")),
            highest_hz=_kilohertz(group.get("scaling_max_freq")),
            possible_hz=_kilohertz(group.get("cpuinfo_max_freq")),
            governors=tuple(group.get("scaling_available_governors", "").split()),
            writable="writable" in group,
        )
        for number, group in sorted(groups.items())
    )


def _temperatures_c(said: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for name, value in said.items():
        number = _number(value)
        if number is None:
            continue
        if name.startswith("zone."):
            found[name[5:].partition(".")[2] or name[5:]] = number / 1e3
        elif name.startswith("android.thermal.") and name != "android.thermal.status":
            found[name[16:]] = number
        elif name == "android.battery.temperature":
            found["battery"] = number / 10
    return found


def _cooling(said: Mapping[str, str]) -> dict[str, int]:
    return {
        name[8:]: int(value)
        for name, value in said.items()
        if name.startswith("cooling.") and value.isdecimal()
    }


def _throttled(said: Mapping[str, str], policies: tuple[Policy, ...]) -> bool | None:
    """Whether anything says so; None when nothing could say it."""
    signs: list[bool] = []
    status = _number(said.get("android.thermal.status"))
    if status is not None:
        signs.append(status >= _ANDROID_MODERATE)
    bits = re.search(r"0x([0-9a-fA-F]+)", said.get("raspberry.throttled", ""))
    if bits:
        signs.append(bool(int(bits[1], 16) & _RASPBERRY_NOW))
    for name, gone in _cooling(said).items():
        if re.search(r"cpu|processor", name, re.IGNORECASE):
            signs.append(gone > 0)
    for policy in policies:
        if policy.highest_hz is not None and policy.possible_hz is not None:
            signs.append(policy.highest_hz < policy.possible_hz)
    return any(signs) if signs else None


def _battery(said: Mapping[str, str]) -> float | None:
    level, scale = _number(said.get("android.battery.level")), said.get("android.battery.scale")
    if level is not None:
        return level / (_number(scale) or 100)
    percent = _number(said.get("battery.percent"))
    return percent / 100 if percent is not None else None


def _charging(said: Mapping[str, str]) -> bool | None:
    powered = [said.get(f"android.battery.{kind} powered") for kind in ("AC", "USB")]
    if any(value is not None for value in powered):
        return "true" in powered
    status = said.get("battery.status")
    return status in ("Charging", "Full", "Not charging") if status else None


def _emulated(said: Mapping[str, str]) -> bool | None:
    """True where something gives it away; else unknown, for an emulator may hide well."""
    foreign = said.get("kernel_kind") == "x86" and not re.fullmatch(
        r"x86_64|i[3-6]86", said.get("architecture", "")
    )
    known = foreign or "emulator" in said or said.get("property.ro.kernel.qemu") == "1"
    return True if known else None


def _glibc_minor(text: str | None) -> int | None:
    found = re.search(r"\b2\.(\d{1,3})\b", text or "")
    return int(found[1]) if found else None


def _foreground(text: str | None) -> str | None:
    found = re.search(r"([\w.]+)/[\w.$]+", text or "")
    return found[1] if found else None


def _is(value: str | None, wanted: str) -> bool | None:
    return None if value in (None, "", "null") else value == wanted


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < 1e18 else None  # neither NaN nor infinity


def _kilohertz(text: str | None) -> float | None:
    number = _number(text)
    return None if number is None else number * 1e3


def _kibibytes(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number) * 1024
