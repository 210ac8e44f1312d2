"""Values that options take: names, numbers, shapes, durations."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from groundspeed.deploy.store.location import Location


class Names(click.ParamType[tuple[str, ...]]):
    """Names separated by commas: ``onnx,ncnn``."""

    name = "names"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the names, without empty ones."""
        if isinstance(value, tuple):
            return value
        names = tuple(part.strip() for part in str(value).split(",") if part.strip())
        if not names:
            self.fail("at least one name is needed", param, ctx)
        return names


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers of at least ``minimum``, separated by commas; a range ``0-3`` is allowed."""

    name = "numbers"

    def __init__(self, minimum: int = 0) -> None:
        self.minimum = minimum

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the numbers in the order given."""
        if isinstance(value, tuple):
            return value
        numbers: list[int] = []
        for part in str(value).split(","):
            first, _, last = part.strip().partition("-")
            try:
                numbers.extend(range(int(first), int(last or first) + 1))
            except ValueError:
                self.fail(f"'{part}' is no whole number or range", param, ctx)
        if not numbers or min(numbers) < self.minimum:
            self.fail(f"'{value}': numbers of at least {self.minimum} are needed", param, ctx)
        return tuple(numbers)


class StoreLocation(click.ParamType[Location]):
    """Where results are: a folder, or the address of a PostgreSQL database."""

    name = "store"

    def convert(self, value: Any, param: Any, ctx: Any) -> Location:
        """Return the location."""
        if isinstance(value, Location):
            return value
        location = Location.parse(str(value))
        if not location.server and location.folder.is_file():
            self.fail(f"'{value}' is a file, and no folder", param, ctx)
        return location


class Shape(click.ParamType[tuple[int, ...]]):
    """A tensor shape: ``1,3,224,224`` or ``1x3x224x224``."""

    name = "shape"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the dimensions."""
        if isinstance(value, tuple):
            return value
        try:
            shape = tuple(int(part) for part in str(value).replace("x", ",").split(","))
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            self.fail(f"'{value}' is no shape; write it like 1,3,224,224", param, ctx)
        return shape


class Share(click.ParamType[float]):
    """A share: ``3%`` or ``0.03``."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the share as a number above 0 and below 1."""
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
        except ValueError:
            number = 0.0
        if not 0.0 < number < 1.0:
            self.fail(f"'{value}' is no share; write it like 3% or 0.03", param, ctx)
        return number


class Duration(click.ParamType[float]):
    """A duration: ``90`` or ``90s``, ``5min``, ``1h``."""

    name = "duration"
    _SECONDS: Final = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the seconds, zero or more."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip())
        if match is None or match[2] not in self._SECONDS:
            self.fail(f"'{value}' is no duration; write it like 90s, 5min or 1h", param, ctx)
        return float(match[1]) * self._SECONDS[match[2]]
