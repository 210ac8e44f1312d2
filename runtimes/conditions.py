"""What this machine is and how it is doing, read from Linux's ``/proc`` and ``/sys``.

https://docs.kernel.org/admin-guide/pm/cpufreq.html and
https://docs.kernel.org/driver-api/thermal/sysfs-api.html. What cannot be read is ``None``.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path

from groundspeed.measurement import Conditions, Machine

ROOT = Path("/")
_CPUS = "sys/devices/system/cpu"
FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)


def read_machine(root: Path = ROOT) -> Machine:
    """Return what this machine is.

    Args:
        root: folder that holds ``proc`` and ``sys``.
    """
    cpuinfo = _text(root / "proc/cpuinfo") or ""
    governors = {_text(path) for path in root.glob(f"{_CPUS}/cpufreq/policy*/scaling_governor")}
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    return Machine(
        name=platform.node(),
        model=_model(root, cpuinfo),
        architecture=platform.machine(),
        system=f"{platform.system()} {platform.release()} {platform.version()}",
        cpus=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(root),
        governor=", ".join(sorted(name for name in governors if name)) or None,
        features=tuple(name for name in FEATURES if name in present),
        emulated=_emulated(root, cpuinfo),
    )


def read_conditions(root: Path = ROOT) -> Conditions:
    """Return the state of the machine at this moment; see :func:`read_machine` for ``root``."""
    load = (_text(root / "proc/loadavg") or "").split()
    return Conditions(
        at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        frequencies_hz=_frequencies_hz(root),
        temperatures_c=_temperatures_c(root),
        load=_number(load[0]) if load else None,
        throttled=_throttled(root),
        battery=_battery(root),
    )


def memory_bytes(field: str, root: Path = ROOT) -> int | None:
    """Return a size of this process: "VmHWM" is the largest resident set, "VmRSS" today's."""
    return _kibibytes(_text(root / "proc/self/status") or "", field)


def _emulated(root: Path, cpuinfo: str) -> bool | None:
    """True where something gives it away; else unknown, for an emulator may hide well."""
    # Only kernels of x86 have this file: where programs are of another kind, something emulates.
    foreign = (root / "proc/self/arch_status").exists() and not re.fullmatch(
        r"x86_64|i[3-6]86|AMD64", platform.machine()
    )
    return True if foreign or re.search(r"QEMU|TCG", cpuinfo) else None


def _model(root: Path, cpuinfo: str) -> str | None:
    # Boards say what they are in the device tree; PCs only name their processor.
    board = (_text(root / "proc/device-tree/model") or "").strip("\0")
    named = re.search(r"^(?:model name|Hardware)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return board or (named[1].strip() if named else None)


def _memory_bytes(root: Path) -> int | None:
    return _kibibytes(_text(root / "proc/meminfo") or "", "MemTotal")


def _kibibytes(text: str, field: str) -> int | None:
    found = re.search(rf"^{field}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _frequencies_hz(root: Path) -> dict[str, float] | None:
    """Return each CPU's clock: the governor's own word, else what ``/proc/cpuinfo`` shows."""
    found = {}
    for path in sorted(root.glob(f"{_CPUS}/cpu[0-9]*/cpufreq/scaling_cur_freq")):
        kilohertz = _number(_text(path))
        if kilohertz is not None:
            found[path.parts[-3]] = kilohertz * 1e3
    if not found:
        clocks = re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", _text(root / "proc/cpuinfo") or "", re.M)
        found = {f"cpu{index}": float(clock) * 1e6 for index, clock in enumerate(clocks)}
    return found or None


def _temperatures_c(root: Path) -> dict[str, float] | None:
    found = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        millidegrees = _number(_text(zone / "temp"))
        if millidegrees is not None:
            kind = _text(zone / "type") or "unknown"
            found[f"{zone.name} {kind}"] = millidegrees / 1e3
    return found or None


def _throttled(root: Path) -> bool | None:
    """Whether a cooling device that slows the processor is at work now."""
    states = [
        _number(_text(device / "cur_state"))
        for device in root.glob("sys/class/thermal/cooling_device*")
        if re.search(r"cpufreq|processor", (_text(device / "type") or ""), re.IGNORECASE)
    ]
    known = [state for state in states if state is not None]
    return any(known) if known else None


def _battery(root: Path) -> float | None:
    for path in sorted(root.glob("sys/class/power_supply/*/capacity")):
        percent = _number(_text(path))
        if percent is not None:
            return percent / 100
    return None


def _text(path: Path) -> str | None:
    # Some files of /sys exist and still refuse to be read (a thermal zone that is switched off).
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
