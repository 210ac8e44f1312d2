"""Numbers as the report writes them."""

from __future__ import annotations

from typing import Protocol

_DASH = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


class Span(Protocol):
    """Anything with two ends in nanoseconds."""

    @property
    def low_ns(self) -> float:
        """Lower end."""
        ...

    @property
    def high_ns(self) -> float:
        """Upper end."""
        ...


def ms(ns: float) -> str:
    """Return nanoseconds as milliseconds for a column that says "ms": three significant digits."""
    value = ns / 1e6
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}".replace("-", _MINUS)


def span(low: str, high: str) -> str:
    """Return both with a dash in between, or the one text when both are the same."""
    return low if low == high else f"{low}{_DASH}{high}"


def interval(value: Span | None) -> str:
    """Return both ends of an interval in milliseconds; a single launch has none."""
    return "one launch" if value is None else f"{ms(value.low_ns)}{_DASH}{ms(value.high_ns)}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %".replace("-", _MINUS)


def giga(rate: float) -> str:
    """Return a rate in units of 10⁹ per second, one decimal."""
    return f"{rate / 1e9:.1f}"


def short(line: str) -> str:
    """Return ``file:line`` without the folders: a row has no room for them."""
    return line.rpartition("/")[2]


def threads(count: int) -> str:
    """Return "1 thread" or "4 threads"."""
    return f"{count} thread{'' if count == 1 else 's'}"
