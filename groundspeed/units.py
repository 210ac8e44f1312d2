"""Seconds, bytes and counts as people read them; inside, everything stays SI."""

from __future__ import annotations


def milliseconds(ns: float) -> str:
    """Return a duration in nanoseconds as milliseconds with three significant digits."""
    ms = ns / 1e6
    digits = 0 if ms >= 100 else 1 if ms >= 10 else 2 if ms >= 1 else 3
    return f"{ms:.{digits}f} ms"


def bytes_text(count: float) -> str:
    """Return a size with a decimal prefix: 9216000 -> "9.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def count_text(count: float) -> str:
    """Return a count with a prefix: 146_000_000 -> "146.0 M"."""
    for unit in ("", " k", " M", " G"):
        if abs(count) < 1000 or unit == " G":
            return f"{count:.0f}" if unit == "" else f"{count:.1f}{unit}"
        count /= 1000
    raise AssertionError("unreachable")
