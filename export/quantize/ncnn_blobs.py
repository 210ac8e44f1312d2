"""The blobs of an ncnn network: which values each has to hold, and which layers take it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce

from groundspeed.quantization import Range
from groundspeed.runtimes.ncnn_param import Layer

# What these give is what they take, or a part of it, in another order or shape.
_MOVES = frozenset(
    {
        *("Concat", "Crop", "ExpandDims", "Flatten", "Noop", "Permute", "PixelShuffle", "Reorg"),
        *("Reshape", "ShuffleChannel", "Slice", "Split", "Squeeze"),
    }
)


class Blobs:
    """Answers about the blobs of one network.

    Args:
        layers: the network.
        ties: blob -> canonical op, or network input, that holds the same values.
        ranges: canonical op, or network input -> range of its values.
    """

    def __init__(
        self, layers: Sequence[Layer], ties: Mapping[str, str], ranges: Mapping[str, Range]
    ) -> None:
        self._makers = {top: layer for layer in layers for top in layer.tops}
        self._takers: dict[str, list[Layer]] = defaultdict(list)
        for layer in layers:
            for bottom in layer.bottoms:
                self._takers[bottom].append(layer)
        self._ties = ties
        self._ranges = ranges

    def range_of(self, blob: str) -> Range | None:
        """Return the range of a blob, None if it is not known.

        A blob that is tied to no op has the range of what it was copied or put together from. The
        copies that a Split makes always have their source's range, so that all of them are equal.
        """
        maker = self._makers.get(blob)
        if maker is not None and maker.type == "Split":
            return self.range_of(maker.bottoms[0])
        known = self._ranges.get(self._ties.get(blob, ""))
        if known is not None or maker is None or maker.type not in _MOVES:
            return known
        sources = [self.range_of(bottom) for bottom in maker.bottoms]
        found = [source for source in sources if source is not None]
        return reduce(Range.joined, found) if found and len(found) == len(sources) else None

    def takers_of(self, blob: str) -> tuple[Layer | None, ...]:
        """Return the layers that take a blob, through Splits; None where it is an output."""
        takers: list[Layer | None] = []
        for layer in self._takers[blob]:
            if layer.type != "Split":
                takers.append(layer)
                continue
            for copy in layer.tops:
                takers += self.takers_of(copy)
        return tuple(takers) or (None,)
