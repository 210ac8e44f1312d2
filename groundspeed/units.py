"""Bytes and counts as people read them; inside, everything stays SI."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """Return a size with a decimal prefix and three digits: 9216000 -> "9.22 MB"."""
    return _prefixed(count, ("B", "kB", "MB", "GB", "TB"))


def count_text(count: float) -> str:
    """Return a count with a prefix and three digits: 144_907_992 -> "145 M"."""
    return _prefixed(count, ("", "k", "M", "G", "T")).rstrip()


def _prefixed(count: float, units: tuple[str, ...]) -> str:
    if abs(count) < 1000:
        return f"{count:.0f} {units[0]}"
    for unit in units[1:]:
        count /= 1000
        # 999_950 is "1.00 M", not "1000 k".
        if abs(count) < 999.5 or unit == units[-1]:
            return f"{_three_digits(count)} {unit}"
    raise AssertionError("the last unit takes every count")


def _three_digits(value: float) -> str:
    size = abs(value)
    return f"{value:.{0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3}f}"
