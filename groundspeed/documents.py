"""Frozen dataclasses to plain JSON and back.

One small codec instead of a library, because it travels to devices, where the agent has nothing
but Python and numpy. It knows what our values are made of: dataclasses, tuples, string-keyed
dicts, enums, paths, optionals and the JSON scalars.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import os
import tempfile
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Return ``value`` as dicts, lists and scalars that :mod:`json` takes.

    Infinities and NaN become the strings ``"inf"``, ``"-inf"`` and ``"nan"``: JSON has no word for
    them, and dropping them would hide a result.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def from_plain(kind: type[T], plain: Any) -> T:
    """Return a ``kind`` made from what :func:`to_plain` gave; unknown keys are ignored.

    Raises:
        ValueError: a required field is missing or has another shape; the message names the field.
    """
    return typing.cast(T, _decode(kind, plain, kind.__name__))


def _decode(kind: Any, plain: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return plain
    if origin in (typing.Union, types.UnionType):
        return _decode_union(arguments, plain, where)
    if origin is tuple:
        _expect(plain, list, where)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decode(arguments[0], x, f"{where}[{i}]") for i, x in enumerate(plain))
        if len(arguments) != len(plain):
            raise ValueError(f"{where}: {len(arguments)} items expected, {len(plain)} found")
        return tuple(
            _decode(k, x, f"{where}[{i}]")
            for i, (k, x) in enumerate(zip(arguments, plain, strict=True))
        )
    if origin is dict:
        _expect(plain, dict, where)
        return {key: _decode(arguments[1], x, f"{where}.{key}") for key, x in plain.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, plain, where)
    if kind is float:
        if isinstance(plain, str) and plain in ("inf", "-inf", "nan"):
            return float(plain)
        if isinstance(plain, bool) or not isinstance(plain, int | float):
            raise ValueError(f"{where}: a number expected, {type(plain).__name__} found")
        return float(plain)
    if isinstance(kind, type) and issubclass(kind, enum.Enum | Path):
        try:
            return kind(plain)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
    if kind is int and isinstance(plain, bool):
        raise ValueError(f"{where}: int expected, bool found")
    _expect(plain, kind, where)
    return plain


def _decode_union(choices: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in choices:
        return None
    problems = []
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _decode(choice, plain, where)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(problems[0] if problems else f"{where}: null expected")


def _decode_dataclass(kind: Any, plain: Any, where: str) -> Any:
    _expect(plain, dict, where)
    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in plain:
            path = f"{where}.{field.name}"
            values[field.name] = _decode(hints[field.name], plain[field.name], path)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}: the field '{field.name}' is missing")
    return kind(**values)


def _expect(plain: Any, kind: Any, where: str) -> None:
    if not isinstance(plain, kind):
        raise ValueError(f"{where}: {kind.__name__} expected, {type(plain).__name__} found")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes a private file; what a build makes is for everybody, as the umask allows.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def dump(value: Any) -> str:
    """Return the one JSON text of ``value``: sorted keys, so that equal values are equal text."""
    return json.dumps(to_plain(value), sort_keys=True, indent=1, allow_nan=False) + "\n"
