"""Where a target is, as people write it: ``local``, ``ssh://pi@board:22``, ``adb://0A1B2C``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from groundspeed.errors import UsageError

_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\]|[A-Za-z0-9][A-Za-z0-9._-]*)"
_SSH = re.compile(
    rf"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>{_HOST})(?::(?P<port>\d+))?"
)
# A serial is letters and digits, or host:port for a phone over Wi-Fi; never what looks like a flag.
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a target is.

    Attributes:
        scheme: "local", "ssh" or "adb", or what an entry point registered.
        host: host name or alias of the user's ssh configuration; the serial of a phone; "" here.
        user: who to log in as; "" leaves it to ssh's configuration.
        port: None leaves it to ssh's configuration.
    """

    scheme: str
    host: str = ""
    user: str = ""
    port: int | None = None

    def __str__(self) -> str:
        """Return the address as people write it."""
        if self.scheme == "local":
            return "local"
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{user}{self.host}{port}"


def parse_address(text: str) -> Address:
    """Return the address that a text says.

    Raises:
        UsageError: it is none; the message says how one is written.
    """
    if text == "local":
        return Address(scheme="local")
    scheme, separator, rest = text.partition("://")
    if scheme == "ssh" and (found := _SSH.fullmatch(rest)):
        port = int(found["port"]) if found["port"] else None
        if port is None or 0 < port < 65536:
            return Address(scheme="ssh", host=found["host"], user=found["user"] or "", port=port)
    elif scheme == "adb" and _SERIAL.fullmatch(rest):
        return Address(scheme="adb", host=rest)
    elif separator and scheme not in ("ssh", "adb", "local") and rest:
        return Address(scheme=scheme, host=rest)
    raise UsageError(
        f"'{text}' is no address of a target; write local, ssh://user@host:port, or adb://serial "
        "('adb devices' lists serials), or a name of groundspeed.toml"
    )
