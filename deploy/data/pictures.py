"""Pictures in files and arrays, cut to the size that a network takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from groundspeed.deploy.data.samples import Asked
from groundspeed.errors import DataError

# What Pillow raises on files that are cut short, damaged, huge, or no pictures.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)

# The share of the shorter side that is kept: 224 of 256, as ImageNet's networks are evaluated.
CROP = 0.875


def opened(path: Path, channels: int) -> Image.Image:
    """Return a picture in grey (1 channel) or colour (3), read to its end.

    Raises:
        OSError: or another of ``UNREADABLE``, when it cannot be read.
    """
    with Image.open(path) as picture:
        if picture.mode == "F" or picture.mode.startswith("I"):
            raise ValueError(f"its pixels are no bytes but of mode {picture.mode}")
        return picture.convert("L" if channels == 1 else "RGB")


def cropped(picture: Image.Image, height: int, width: int, crop: float) -> Image.Image:
    """Return the middle of a picture, resized so that ``crop`` of its shorter side is kept."""
    shrink = min(picture.width / width, picture.height / height) * crop
    left = (picture.width - width * shrink) / 2
    top = (picture.height - height * shrink) / 2
    box = (left, top, left + width * shrink, top + height * shrink)
    return resized(picture, height, width, box)


def resized(
    picture: Image.Image, height: int, width: int, box: tuple[float, float, float, float]
) -> Image.Image:
    """Return a part of a picture in another size, filtered so that no detail is skipped.

    Args:
        picture: the whole.
        height: rows of the result.
        width: columns of the result.
        box: left, top, right and bottom of the part, in pixels of the picture.
    """
    return picture.resize((width, height), Image.Resampling.BILINEAR, box=box)


def planes(picture: Image.Image) -> NDArray[np.uint8]:
    """Return a picture's bytes as [C, H, W]."""
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def crop_of(asked: Asked) -> float:
    """Return the share of the shorter side to keep, as the user wants it.

    Raises:
        DataError: it is no share.
    """
    crop = asked.arguments.get("crop", CROP)
    if isinstance(crop, bool) or not isinstance(crop, int | float) or not 0 < crop <= 1:
        raise DataError(f"crop={crop} is not understood; write a number above 0 and up to 1")
    return float(crop)
