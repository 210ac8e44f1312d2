"""From bytes to the numbers that a network was trained on: (x / 255 - mean) / std by channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.data.samples import Sample
from groundspeed.errors import DataError

OPTIONS = ("mean", "std")


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """Mean and standard deviation of pixels in [0, 1], one for each channel or one for all."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: NDArray[np.uint8]) -> Sample:
        """Return the sample of an image.

        Args:
            pixels: [C, H, W].
        """
        mean = np.array(self.mean, np.float32)[:, None, None]
        std = np.array(self.std, np.float32)[:, None, None]
        return (pixels.astype(np.float32) / np.float32(255) - mean) / std

    def __str__(self) -> str:
        return f"pixels in [0, 1], less {_words(self.mean)}, over {_words(self.std)}"

    def changed(self, arguments: Mapping[str, Any], channels: int) -> Normalization:
        """Return it with what the user asks for: ``mean=0.5`` or ``mean=0.48/0.46/0.41``.

        Args:
            arguments: may hold "mean" and "std".
            channels: of the network's input.

        Raises:
            DataError: a value is no number, or there are as many as fit no network.
        """
        return Normalization(
            mean=_numbers(arguments, "mean", channels) or self.mean,
            std=_numbers(arguments, "std", channels, above=0.0) or self.std,
        )


# Statistics of ImageNet's training set; of a grey picture, their means.
IMAGENET = {
    1: Normalization(mean=(0.449,), std=(0.226,)),
    3: Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}


def _numbers(
    arguments: Mapping[str, Any], name: str, channels: int, above: float = -math.inf
) -> tuple[float, ...]:
    given = arguments.get(name)
    if given is None:
        return ()
    try:
        numbers = tuple(float(part) for part in str(given).split("/"))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, channels) or not all(above < x < math.inf for x in numbers):
        needed = "a number" if above < 0 else f"a number above {above:g}"
        several = f", or {channels} of them with / between" if channels > 1 else ""
        raise DataError(f"{name}={given} is not understood; write {needed}{several}")
    return numbers


def _words(numbers: tuple[float, ...]) -> str:
    return "/".join(f"{number:g}" for number in numbers)
