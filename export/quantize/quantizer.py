"""What every quantizer of a file format implements: one protocol, one file for each.

A quantizer takes the float file that a writer made and that was proven equal to the network, and
writes it anew with integers. So one set of ranges serves every format: each tensor of the file is
tied by its values to the canonical op that computes it, and takes that op's range.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from groundspeed.export.writer import Written
from groundspeed.quantization import Quantization


class FileQuantizer(Protocol):
    """Turns the float file of a network into one that computes with integers.

    Attributes:
        suffixes: what it appends to the name of a tensor for other forms of the same values.
    """

    suffixes: tuple[str, ...]

    @property
    def careful(self) -> type[FileQuantizer] | None:
        """What to take instead where the engine's fastest integers turn out wrong."""
        ...

    def quantize(
        self,
        written: Written,
        folder: Path,
        ties: Mapping[str, str],
        quantization: Quantization,
    ) -> Written:
        """Replace the files in ``folder``, and describe the new ones.

        Args:
            written: the float files.
            folder: where they are, and where the new ones go under the same names.
            ties: tensor of the file -> canonical op, or network input, that computes the same
                values. Where a file fuses an activation into a layer, the tensor is tied to the
                activation.
            quantization: the ranges, and which canonical ops stay in floating point: a layer does
                if the op that its output is tied to is among ``float_ops``.

        Raises:
            ExportError: the file cannot be quantized.
        """
        ...
