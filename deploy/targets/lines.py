"""What a command says, kept whole, and heard line by line while it comes."""

from __future__ import annotations

from collections.abc import Callable


class Lines:
    """Collects bytes, and hands on each line as it becomes whole.

    Args:
        on_line: called with each line, without its end.
    """

    def __init__(self, on_line: Callable[[str], None] | None = None) -> None:
        self.bytes = bytearray()
        self._told = 0
        self._on_line = on_line

    def add(self, data: bytes) -> None:
        """Take what came next."""
        before = len(self.bytes)
        self.bytes += data
        whole = self.bytes.rfind(b"\n", before) + 1
        if self._on_line is None or not whole:
            return
        lines = self.bytes[self._told : whole].decode(errors="replace").split("\n")
        self._told = whole
        for line in lines[:-1]:
            self._on_line(line.removesuffix("\r"))  # old phones have a terminal's line ends
