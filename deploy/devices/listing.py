"""The devices that can be measured on: this machine, those with a name, and attached phones."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from groundspeed.deploy.devices.config import find_config, read_devices
from groundspeed.deploy.targets.adb import Attached, attached
from groundspeed.errors import GroundspeedError


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A device.

    Attributes:
        name: what to write after ``--on``.
        address: where it is; twins have several, separated by commas.
        state: "here", "named", or what adb says of a phone.
        model: what it calls itself, where that is known without asking it.
    """

    name: str
    address: str
    state: str
    model: str = ""


def listed() -> list[Listed]:
    """Return all devices; adb is asked only for what it knows already.

    Raises:
        UsageError: groundspeed.toml is wrong.
    """
    devices = read_devices(find_config())
    phones = {f"adb://{one.serial}": one for one in _phones()}
    rows = [Listed(name="local", address="local", state="here", model=platform.machine())]
    for device in devices.values():
        addresses = [str(address) for address in device.addresses]
        known = [phones.pop(address) for address in addresses if address in phones]
        rows.append(
            Listed(
                name=device.name,
                address=", ".join(addresses),
                state=known[0].state if known else "named",
                model=known[0].model if known else "",
            )
        )
    rows += [
        Listed(name=address, address=address, state=phone.state, model=phone.model)
        for address, phone in phones.items()
    ]
    return rows


def _phones() -> list[Attached]:
    try:
        return attached()
    except GroundspeedError:
        return []  # without adb there are no phones to list
