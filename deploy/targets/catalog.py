"""The targets that ship with Groundspeed; others register by the entry points of the groups."""

from __future__ import annotations

import getpass
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from groundspeed.deploy.devices.config import Device, find_config, find_device, read_devices
from groundspeed.deploy.targets.link import Link
from groundspeed.deploy.targets.target import Target
from groundspeed.registry import Entry, Registry

if TYPE_CHECKING:
    from groundspeed.deploy.targets.jobs import Holder

LINKS = Registry(
    "kind of device",
    "groundspeed.links",
    {
        "ssh": Entry(
            target="groundspeed.deploy.targets.ssh:SshLink",
            extra="",
            summary="a board, by OpenSSH's client",
        ),
        "adb": Entry(
            target="groundspeed.deploy.targets.adb:AdbLink",
            extra="",
            summary="a phone, by Android's adb",
        ),
    },
)


def open_target(name: str = "local", *, holder: Holder | None = None) -> Target:
    """Return the target of a name: this machine, a device of groundspeed.toml, or an address.

    Args:
        name: "local", a name under [devices], or an address like "ssh://pi@board".
        holder: on whose behalf; by default this user on this machine.

    Raises:
        UsageError: there is no such device.
        DeviceLost, DeviceRefused: it is not there, or lets nobody in.
    """
    device = named(name)
    if device.addresses[0].scheme == "local":
        from groundspeed.deploy.targets.local import LocalTarget

        return LocalTarget()
    from groundspeed.deploy.agents.choosing import choose_agent
    from groundspeed.deploy.devices.state import read_state
    from groundspeed.deploy.targets.remote import RemoteTarget

    link = open_link(device)
    state = read_state(link)
    return RemoteTarget(
        name,
        link,
        choose_agent(device, state, link),
        machine=state.machine,
        holder=holder or this_user(),
    )


def named(name: str) -> Device:
    """Return the device that a user means.

    Raises:
        UsageError: there is none of this name.
    """
    return find_device(name, read_devices(find_config()))


def open_link(device: Device) -> Link:
    """Return the link to a device, or to the first of twins."""
    address = device.addresses[0]
    if address.scheme == "local":
        from groundspeed.deploy.targets.here import HereLink

        return HereLink()
    link: Link = LINKS.load(address.scheme)(address)
    return link


def this_user(store: Path | None = None) -> Holder:
    """Return the holder that a device knows us by: one word, the same for all of a store's jobs."""
    from groundspeed.deploy.targets.jobs import Holder

    place = f":{store.resolve()}" if store is not None else ""
    return Holder(name=f"{getpass.getuser()}@{platform.node()}{place}".replace(" ", "_"))
