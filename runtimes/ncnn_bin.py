"""The weights of an ncnn network: what a ``.bin`` file holds.

The file has no index (https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure): each
layer of the ``.param`` file reads as many values as its parameters say, in the order of ncnn's
``load_model``. A weight begins with a tag that tells its element type and is filled up to 4 bytes;
everything else is plain float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundspeed.errors import ArtifactError
from groundspeed.runtimes.ncnn_param import Layer

# numpy has no bfloat16; its bits are kept as they are.
_TYPES: dict[int, type[np.generic]] = {
    0: np.float32,
    0x01306B47: np.float16,
    0x01348B83: np.uint16,
    0x000D4B38: np.int8,
}
# Any other tag says the same to ncnn; its own converters wrote this one.
_TABLE_TAG, TABLE_SIZE = 1, 256
_TAGS = {np.dtype(type): tag for tag, type in _TYPES.items()}
_ALIGNMENT = 4

# The layers that take integers, and the parameter that says what they pad their input with.
CHAINED = ("Convolution", "ConvolutionDepthWise")
PAD_VALUE = 18

_SIZES = ("", "1D", "3D")
_CONVOLUTIONS = {f"Convolution{groups}{size}" for groups in ("", "DepthWise") for size in _SIZES}
_DECONVOLUTIONS = {type.replace("Conv", "Deconv") for type in _CONVOLUTIONS}


@dataclass(frozen=True)
class Blob:
    """A run of values.

    Attributes:
        values: float32; with a tag also float16, int8, bfloat16's bits as uint16, or uint8 for
            places in a table.
        tagged: whether a tag tells the type, as it does for weights.
        table: the 256 real values that ``values`` choose from.
    """

    values: NDArray[np.generic]
    tagged: bool = False
    table: NDArray[np.float32] | None = None


Blobs = tuple[Blob, ...]


def read_bin(path: Path, layers: Sequence[Layer]) -> tuple[Blobs, ...]:
    """Return what each layer reads from a ``.bin`` file, () for layers without weights.

    Raises:
        ArtifactError: the file is missing, or the layers do not read exactly all of it.
    """
    try:
        return parse_bin(path.read_bytes(), layers)
    except FileNotFoundError:
        raise ArtifactError(f"there is no file {path}") from None
    except ValueError as error:
        raise ArtifactError(f"{path} does not fit its .param file: {error}") from error


def parse_bin(data: bytes, layers: Sequence[Layer]) -> tuple[Blobs, ...]:
    """Return what each layer reads from the bytes of a ``.bin`` file.

    Raises:
        ValueError: it is cut short, or something is left over.
    """
    reader = _Reader(data)
    read = tuple(
        tuple(reader.blob(count, tagged=tagged) for count, tagged in _declared(layer))
        for layer in layers
    )
    if reader.offset != len(data):
        silent = sorted(
            {layer.type for layer, blobs in zip(layers, read, strict=True) if not blobs}
        )
        raise ValueError(
            f"{len(data) - reader.offset} bytes are left over; one of {', '.join(silent)} may have "
            "weights that Groundspeed does not know of"
        )
    return read


def write_bin(weights: Iterable[Blobs]) -> bytes:
    """Return the bytes of a ``.bin`` file."""
    return b"".join(_encoded(blob) for blobs in weights for blob in blobs)


@dataclass(frozen=True)
class Integers:
    """What the integers of a blob stand for: ``step * (q - zero)``.

    Attributes:
        step: negative where the integers are mirrored.
        zero: the integer of 0.0.
    """

    step: float
    zero: int = 0

    def real(self, integers: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the values that integers stand for."""
        return (integers.astype(np.float32) - self.zero) * np.float32(self.step)


def integer_steps(layers: Sequence[Layer], weights: Sequence[Blobs]) -> dict[str, Integers]:
    """Return blob -> what its integers stand for, for blobs that hold integers.

    Where 0.0 is not the integer 0, it is what the layers that take the blob pad it with, and the
    integers are mirrored.
    """
    zeros = _zeros(layers)
    steps: dict[str, Integers] = {}
    for layer, blobs in zip(layers, weights, strict=True):
        if hands_on_integers(layer):
            (top,), zero = layer.tops, zeros.get(layer.tops[0], 0)
            step = 1 / float(blobs[-1].values[0])
            steps[top] = Integers(-step if zero else step, zero)
        elif layer.type in ("Split", "Cast") and layer.bottoms[0] in steps:
            steps |= dict.fromkeys(layer.tops, steps[layer.bottoms[0]])
    return steps


def _zeros(layers: Sequence[Layer]) -> dict[str, int]:
    """Return blob -> the integer of 0.0 in it, by what the layers that take it pad it with."""
    zeros: dict[str, int] = {}
    for layer in reversed(layers):
        if layer.type in CHAINED:
            zeros[layer.bottoms[0]] = int(layer.number(PAD_VALUE))
        elif layer.type == "Split":
            zeros[layer.bottoms[0]] = zeros.get(layer.tops[0], 0)
    return zeros


def hands_on_integers(layer: Layer) -> bool:
    """Return whether a layer's output is in integers, for the next layer's use."""
    return layer.type in CHAINED and layer.integer(8) > 100


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.offset = 0

    def blob(self, count: int, *, tagged: bool) -> Blob:
        if not tagged:
            return Blob(self._values(np.float32, count))
        tag = int(self._values(np.uint32, 1)[0])
        if tag == _TABLE_TAG:
            table = self._values(np.float32, TABLE_SIZE).view(np.float32)
            return Blob(self._values(np.uint8, count), tagged=True, table=table)
        if tag not in _TYPES:
            raise ValueError(f"there is no weight at byte {self.offset - _ALIGNMENT}")
        return Blob(self._values(_TYPES[tag], count), tagged=True)

    def _values(self, type: type[np.generic], count: int) -> NDArray[np.generic]:
        begin, size = self.offset, np.dtype(type).itemsize * count
        self.offset += size + -size % _ALIGNMENT
        if self.offset > len(self._data):
            raise ValueError(f"it ends after {len(self._data)} bytes, too soon")
        return np.frombuffer(self._data, type, count, begin)


def _encoded(blob: Blob) -> bytes:
    if not blob.tagged:
        return blob.values.astype(np.float32).tobytes()
    data = blob.values.tobytes()
    filled = data + bytes(-len(data) % _ALIGNMENT)
    if blob.table is not None:
        return _TABLE_TAG.to_bytes(4, "little") + blob.table.tobytes() + filled
    return _TAGS[blob.values.dtype].to_bytes(4, "little") + filled


def _declared(layer: Layer) -> list[tuple[int, bool]]:
    """Return the length of each blob that a layer reads, and whether it is tagged.

    As https://github.com/Tencent/ncnn/wiki/operation-param-weights-table has it, and ``load_model``
    in ncnn's src/layer where that is silent.
    """
    number = layer.integer
    if layer.type in _CONVOLUTIONS and not number(19):
        return [(number(6), True), *_plain(number(0) * bool(number(5))), *_scales(layer)]
    if layer.type in _DECONVOLUTIONS and not number(28):
        return [(number(6), True), *_plain(number(0) * bool(number(5)))]
    match layer.type:
        case "InnerProduct":
            return [(number(2), True), *_plain(number(0) * bool(number(1))), *_scales(layer)]
        case "MemoryData":
            sizes = [size for size in map(number, (0, 1, 11, 2)) if size]
            tagged = number(21, 1) == 0
            return [(int(np.prod(sizes)), tagged)] if sizes else []
        case "BatchNorm":
            return _plain(number(0)) * 4
        case "Scale" if number(0) != -233:
            return _plain(number(0)) * (2 if number(1) else 1)
        case "Bias" | "PReLU":
            return _plain(number(0))
        case "LayerNorm" | "InstanceNorm" if number(2, 1):
            return _plain(number(0)) * 2
        case "GroupNorm" if number(3, 1):
            return _plain(number(1)) * 2
        case "RMSNorm" if number(2, 1):
            return _plain(number(0))
        case "Normalize":
            return _plain(number(3))
        case "Padding":
            return _plain(number(6))
    return []


def _scales(layer: Layer) -> list[tuple[int, bool]]:
    """Return the scales of a layer in integers: of its weights, of its input, of its output."""
    term = layer.integer(8)
    if not term:
        return []
    of_weights = layer.integer(0)
    if layer.type == "ConvolutionDepthWise":
        of_weights = layer.integer(7, 1) if term % 100 == 1 else 1
    return [*_plain(of_weights), *_plain(1), *_plain(int(term > 100))]


def _plain(count: int) -> list[tuple[int, bool]]:
    return [(count, False)] if count else []
