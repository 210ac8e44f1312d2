"""Steady clocks on request, and always given back.

Before anything is changed, how it was is written into a file on the device. Whoever comes next and
finds that file gives the clocks back first: so a crash here, a cut cable or a dead battery leaves
nothing behind for long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.targets.link import Link
from groundspeed.errors import DeviceRefused

# Android 11 and later: clocks that can be kept for long, lower than the highest.
_LOCK_ANDROID = """
[ -f "$1/clocks" ] || echo fixed-performance >"$1/clocks" || exit 73
cmd power set-fixed-performance-mode-enabled true
"""
# Each governor is remembered; "performance" then holds the highest clock.
_LOCK_LINUX = """
cd "$2/sys/devices/system/cpu/cpufreq" || exit 69
if [ ! -f "$1/clocks" ]; then
    for policy in policy*; do echo "$policy $(cat "$policy/scaling_governor")"; done \\
        >"$1/clocks.part" && mv "$1/clocks.part" "$1/clocks" || exit 73
fi
for policy in policy*; do echo performance >"$policy/scaling_governor" || exit 77; done
"""
_RESTORE = """
[ -f "$1/clocks" ] || exit 0
while read -r policy governor; do
    if [ "$policy" = fixed-performance ]; then
        cmd power set-fixed-performance-mode-enabled false || exit 1
    else
        echo "$governor" >"$2/sys/devices/system/cpu/cpufreq/$policy/scaling_governor" || exit 1
    fi
done <"$1/clocks"
rm -f "$1/clocks"
echo restored
"""


@contextmanager
def locked(link: Link, root: str = "") -> Iterator[None]:
    """Hold the clocks of a device steady, and give them back however the block is left.

    Args:
        link: the way to it.
        root: what stands before ``/sys`` there, for tests.

    Raises:
        DeviceRefused: the device does not let us.
        DeviceLost: the link broke; the next contact gives the clocks back.
    """
    lock(link, root)
    try:
        yield
    finally:
        restore(link, root)


def lock(link: Link, root: str = "") -> None:
    """Hold the clocks of a device steady; see :func:`locked`."""
    android = read_state(link, root).android
    done = link.run(_LOCK_ANDROID if android else _LOCK_LINUX, [link.folder, root])
    if done.status != 0:
        restore(link, root)
        advice = (
            "it needs Android 11 and a phone whose maker allows it"
            if android
            else "that takes root there, and a kernel that sets clocks"
        )
        raise DeviceRefused(
            f"the clocks of {link.name} cannot be held ({done.complaint}); {advice}: leave out "
            "--lock-clocks"
        )


def restore(link: Link, root: str = "") -> bool:
    """Give back the clocks that were held, by us or by somebody who crashed; tell if there were.

    Raises:
        DeviceRefused: the device does not let us any more.
        DeviceLost: the link broke.
    """
    done = link.run(_RESTORE, [link.folder, root])
    if done.status != 0:
        raise DeviceRefused(
            f"the clocks of {link.name} could not be given back ({done.complaint}); how they were "
            f"stands in {link.folder}/clocks there"
        )
    return done.text == "restored"
