"""What makes a root folder look like a phone: clocks, heat, battery, screen, as plain files.

Only this is not real on the emulated phone; a test changes a file, and the phone is hot. Four
little, three middle and one big core, as many phones have.
"""

from __future__ import annotations

from pathlib import Path

CLUSTERS = (
    ((0, 1, 2, 3), 250, 300_000, 1_804_800),
    ((4, 5, 6), 870, 710_400, 2_419_200),
    ((7,), 1024, 844_800, 2_841_600),
)
PROPERTIES = {
    "ro.product.manufacturer": "Emulated",
    "ro.product.model": "Phone 8",
    "ro.build.version.sdk": "33",
    "ro.build.fingerprint": "emulated/phone/phone:13/TEST/1:user/release-keys",
    "ro.board.platform": "kona",
    "ro.soc.model": "SM8250",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a,armeabi",
}
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 2
  level: {percent}
  scale: 100
  temperature: {tenths}
"""
THERMAL = """\
IsStatusOverride: false
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=72.6, mType=0, mName=CPU7, mStatus=0}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue={skin}, mType=3, mName=SKIN, mStatus=0}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-0}}
"""
TOOLS = {
    "getprop": """\
if [ -n "$1" ]; then cat "/fake/properties/$1" 2>/dev/null; exit 0; fi
for one in /fake/properties/*; do echo "[${one##*/}]: [$(cat "$one")]"; done
""",
    "dumpsys": """\
[ -f "/fake/dumpsys/$1" ] && exec cat "/fake/dumpsys/$1"
echo "Can't find service: $1" >&2
exit 20
""",
    "settings": """\
case $1 in
get) cat "/fake/settings/$2.$3" 2>/dev/null || echo null ;;
put) echo "$4" >"/fake/settings/$2.$3" ;;
esac
""",
    "cmd": """\
echo "$*" >>/fake/cmd.log
case "$1 $2" in
"power set-fixed-performance-mode-enabled") exit 0 ;;
esac
echo "cmd: Can't find service: $1"
exit 20
""",
}


def make(root: Path) -> None:
    """Write the files of a cool, awake phone into a root folder."""
    cpus = root / "fake/sys/devices/system/cpu"
    for name in ("present", "possible", "online"):
        _write(cpus / name, "0-7\n")
    for members, capacity, lowest, highest in CLUSTERS:
        policy = cpus / f"cpufreq/policy{members[0]}"
        for key, value in {
            "related_cpus": " ".join(map(str, members)),
            "scaling_governor": "schedutil",
            "scaling_available_governors": "schedutil performance powersave",
            "scaling_cur_freq": lowest,
            "scaling_min_freq": lowest,
            "scaling_max_freq": highest,
            "cpuinfo_min_freq": lowest,
            "cpuinfo_max_freq": highest,
        }.items():
            _write(policy / key, f"{value}\n")
        for cpu in members:
            _write(cpus / f"cpu{cpu}/cpu_capacity", f"{capacity}\n")
            link = cpus / f"cpu{cpu}/cpufreq"
            if not link.is_symlink():
                link.symlink_to(f"../cpufreq/policy{members[0]}")
    for name, value in PROPERTIES.items():
        _write(root / "fake/properties" / name, f"{value}\n")
    for name, script in TOOLS.items():
        _write(root / "system/bin" / name, f"#!/bin/sh\n{script}")
        (root / "system/bin" / name).chmod(0o755)
    (root / "fake/settings").mkdir(exist_ok=True)
    for folder in (root / "fake", root / "fake/settings"):
        folder.chmod(0o777)
    _write(root / "fake/dumpsys/power", "Power Manager State:\n  mWakefulness=Awake\n")
    set_battery(root)
    set_heat(root)


def set_battery(root: Path, *, percent: int = 83, degrees: float = 31.0) -> None:
    """Charge the battery, and warm it."""
    text = BATTERY.format(percent=percent, tenths=round(degrees * 10))
    _write(root / "fake/dumpsys/battery", text)


def set_heat(root: Path, *, status: int = 0, skin: float = 33.5) -> None:
    """Set the thermal status of Android, 0 none to 6 shutdown, and the skin's temperature."""
    text = THERMAL.format(status=status, skin=skin)
    _write(root / "fake/dumpsys/thermalservice", text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
