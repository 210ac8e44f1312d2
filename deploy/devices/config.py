"""The devices that a project names in its ``groundspeed.toml``.

[devices]
pi5 = "ssh://pi@10.0.0.7"
pixel = "adb://2A031FDH2003ZX"
shelf = ["adb://R58M123", "adb://R58M456"]     # twins: a job goes to whichever is free

[devices.old-board]
address = "ssh://root@board"
agent = "native"              # instead of "auto": Python where the board has one
libraries = "libs/android"    # LiteRT or ONNX Runtime for Android, which no registry has
folder = "/mnt/sd/groundspeed"   # where our files go there
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundspeed.deploy.targets.address import Address, parse_address
from groundspeed.errors import UsageError

FILE = "groundspeed.toml"
AGENTS = ("auto", "python", "native")
_KEYS = ("address", "agent", "folder", "libraries", "python")


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device, or several that are alike, under one name.

    Attributes:
        name: what the user calls it.
        addresses: where it is; several are twins, any of which may do a job.
        agent: "python", "native", or "auto": Python where the device has one.
        python: its interpreter.
        libraries: folder of engine libraries that the user brings for it.
        folder: absolute path of our own folder there; "" leaves it to the link.
    """

    name: str
    addresses: tuple[Address, ...]
    agent: str = "auto"
    python: str = "python3"
    libraries: Path | None = None
    folder: str = ""


def find_config(start: Path | None = None) -> Path | None:
    """Return the ``groundspeed.toml`` of a folder or the nearest one above it."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    return None


def read_devices(path: Path | None) -> dict[str, Device]:
    """Return the devices of a ``groundspeed.toml`` by name; none without a file.

    Raises:
        UsageError: the file is no TOML, or says something that no device has.
    """
    if path is None:
        return {}
    devices = read_table(path, "devices")
    return {name: _device(path, name, said) for name, said in devices.items()}


def read_table(path: Path, name: str) -> dict[str, Any]:
    """Return a table of a ``groundspeed.toml``, empty when the file has none of this name.

    Raises:
        UsageError: the file is no TOML, or the name stands for something else.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(name, {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [{name}] must be a table, not {table!r}")
    return table


def find_device(name: str, devices: Mapping[str, Device]) -> Device:
    """Return the device of a name, or at an address.

    Raises:
        UsageError: there is no such name, and it is no address either.
    """
    if name in devices:
        return devices[name]
    if name == "local" or "://" in name:
        return Device(name=name, addresses=(parse_address(name),))
    near = difflib.get_close_matches(name, devices, n=1)
    known = f"did you mean {near[0]}?" if near else f"known: {', '.join(['local', *devices])}"
    raise UsageError(
        f"there is no device '{name}'; {known} Name it under [devices] in {FILE}, or write its "
        "address (ssh://user@host, adb://serial)"
    )


def _device(path: Path, name: str, said: Any) -> Device:
    if name == "local" or "://" in name:
        raise UsageError(f"{path}: no device may be called '{name}'; choose another name")
    table = said if isinstance(said, dict) else {"address": said}
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_KEYS)}"
            raise UsageError(f"{path}: the device '{name}' has no setting '{key}'; {hint}")
    written = table.get("address")
    texts = [written] if isinstance(written, str) else written
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
        raise UsageError(
            f"{path}: the device '{name}' needs an address, such as \"ssh://pi@board\", "
            "or a list of them"
        )
    for key in ("agent", "python", "libraries", "folder"):
        if not isinstance(table.get(key, ""), str):
            raise UsageError(f"{path}: '{key}' of the device '{name}' must be a text")
    agent = table.get("agent", "auto")
    if agent not in AGENTS:
        raise UsageError(
            f"{path}: the device '{name}' has no agent '{agent}'; known: {', '.join(AGENTS)}"
        )
    folder = table.get("folder", "")
    if folder and not folder.startswith("/"):
        raise UsageError(
            f"{path}: 'folder' of the device '{name}' must be an absolute path there, "
            f"not '{folder}'"
        )
    try:
        addresses = tuple(parse_address(one) for one in texts)
    except UsageError as error:
        raise UsageError(f"{path}: the device '{name}': {error}") from error
    return Device(
        name=name,
        addresses=addresses,
        agent=agent,
        python=table.get("python", "python3"),
        libraries=(path.parent / table["libraries"]) if table.get("libraries") else None,
        folder=folder,
    )
