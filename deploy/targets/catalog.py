"""The kinds of devices that ship with Groundspeed; others register by the group's entry points."""

from __future__ import annotations

from groundspeed.deploy.devices.config import Device, find_config, find_device, read_devices
from groundspeed.deploy.targets.link import Link
from groundspeed.registry import Entry, Registry

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
    link: Link = LINKS.load(address.scheme)(address, folder=device.folder)
    return link
