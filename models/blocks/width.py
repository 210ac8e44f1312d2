"""Channel counts of networks that come in several widths."""

from __future__ import annotations


def round_channels(channels: float, divisor: int = 8) -> int:
    """Return the nearest multiple of ``divisor``, at least one, and not below 90 % of ``channels``.

    As in the MobileNet papers' own code, so that vector units are filled.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
