"""A TFLite file without the same thing twice.

Each output channel of a quantized layer has a scale and a zero point for its weights, and both
again for its bias. All these zero points are 0, in eight bytes each: in MobileNetV2 that is as much
as a fourteenth of the weights. A FlatBuffer may refer to one vector from many places.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

# What TFLite's schema asks for the data of tensors (``force_align`` in schema.fbs).
_ALIGNMENT = 16


def compact(content: bytes) -> bytes:
    """Return the file with equal vectors stored once.

    Large weights, which ai-edge-quantizer puts behind the FlatBuffer, come to lie inside it.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for buffer in model.buffers:
        if buffer.offset:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    builder = _Sharing(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Sharing(flatbuffers.Builder):  # type: ignore[misc]
    """Builds a FlatBuffer in which equal vectors are one."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._offsets: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802
        """Return where the vector lies; see ``flatbuffers.Builder``."""
        key = (x.dtype.str, x.tobytes())
        if key not in self._offsets:
            if x.dtype == np.uint8:
                self.Prep(_ALIGNMENT, x.nbytes)
            self._offsets[key] = super().CreateNumpyVector(x)
        return self._offsets[key]
