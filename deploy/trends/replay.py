"""Any history as a table: a CSV file of times, series and values."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groundspeed.deploy.trends.change_points import Trend, trend
from groundspeed.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One series of a table.

    Attributes:
        name: as the table has it.
        times: as the table has them, in its order.
        values: one for each time, above 0, in whatever unit.
        trend: what they did.
    """

    name: str
    times: tuple[str, ...]
    values: tuple[float, ...]
    trend: Trend


def replay(
    path: Path, *, time: str = "time", series: str = "series", value: str = "value"
) -> list[Replayed]:
    """Return each series of a table, with the places where it changed.

    Args:
        path: CSV with a header; rows are in order of time within each series.
        time: name of the column of times, which sort as text (ISO 8601) or as numbers.
        series: name of the column that tells series apart.
        value: name of the column of values.

    Raises:
        UsageError: the file cannot be read, lacks a column, or a row is not as it must be.
    """
    found: dict[str, tuple[list[str], list[float]]] = {}
    for line, row in _rows(path, (time, series, value)):
        times, values = found.setdefault(row[series], ([], []))
        if times and _order(row[time]) <= _order(times[-1]):
            raise UsageError(
                f"{path}, line {line}: time {row[time]} of '{row[series]}' does not come after "
                f"{times[-1]}; sort the rows and leave out doubled ones"
            )
        times.append(row[time])
        values.append(_number(row[value], f"{path}, line {line}: {value}"))
    return [
        Replayed(name=name, times=tuple(times), values=tuple(values), trend=trend(values))
        for name, (times, values) in found.items()
    ]


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            present = reader.fieldnames or []
            lacking = [name for name in columns if name not in present]
            if lacking:
                raise UsageError(
                    f"{path} has no column '{lacking[0]}', but: {', '.join(present) or 'nothing'}; "
                    "name its columns with --time, --series and --value"
                )
            found = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    for line, row in found:
        if any(row[name] is None for name in columns):
            raise UsageError(f"{path}, line {line}: the row is too short")
    if not found:
        raise UsageError(f"{path} has a header and no row")
    return found


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{where} must be a number above 0, not '{text}'")
    return number


def _order(time: str) -> tuple[int, float, str]:
    try:
        return 0, float(time), ""
    except ValueError:
        return 1, 0.0, time
