"""Photographs that come with scikit-image and scikit-learn, in random crops.

They have no labels: they serve for calibration, and to see whether two networks agree.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from groundspeed.deploy.data import normalization
from groundspeed.deploy.data.pictures import opened, planes, resized
from groundspeed.deploy.data.samples import Asked, Data, Sample
from groundspeed.errors import DataError, MissingExtra

# package -> the photographs in it that show things and places, in colour.
PHOTOGRAPHS = {
    "skimage": (
        "data/astronaut.png",
        "data/chelsea.png",
        "data/coffee.png",
        "data/hubble_deep_field.jpg",
        "data/motorcycle_left.png",
        "data/motorcycle_right.png",
        "data/retina.jpg",
        "data/rocket.jpg",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
DEFAULT_COUNT = 256
LEAST_SIDE = 0.4  # the smallest crop, as a share of the photograph's shorter side


def load(asked: Asked) -> Data:
    """Return crops of random size and place, from each photograph in turn.

    Raises:
        MissingExtra: neither package is installed.
        DataError: the network takes no images, or more is asked for than photographs.
    """
    asked.allow_arguments(*normalization.OPTIONS)
    if asked.what:
        raise DataError(f"photographs have no part '{asked.what}'; write 'photographs' alone")
    channels, height, width = asked.image_shape
    normalize = normalization.IMAGENET[channels].changed(asked.arguments, channels)
    paths = _paths()
    if not paths:
        raise MissingExtra(
            "the photographs come with the packages scikit-image and scikit-learn: "
            "pip install scikit-image"
        )
    photographs = [opened(path, channels) for path in paths]

    def read(index: int) -> Sample:
        photograph = photographs[index % len(photographs)]
        generator = np.random.default_rng([asked.seed, index])
        whole = min(photograph.width / width, photograph.height / height)
        shrink = whole * generator.uniform(LEAST_SIDE, 1)
        left = generator.uniform(0, photograph.width - shrink * width)
        top = generator.uniform(0, photograph.height - shrink * height)
        box = (left, top, left + shrink * width, top + shrink * height)
        return normalize(planes(resized(photograph, height, width, box)))

    count = asked.limit or DEFAULT_COUNT
    return Data(
        name=f"{count} crops of {len(paths)} photographs",
        count=count,
        read=read,
        notes=(
            "crops of one photograph overlap, so that they count for less than as many photographs",
            str(normalize),
        ),
    )


def _paths() -> list[Path]:
    """Return the photographs that are there; nothing is imported, only found."""
    found = []
    for package, names in PHOTOGRAPHS.items():
        specification = importlib.util.find_spec(package)
        for place in specification.submodule_search_locations or () if specification else ():
            found += [path for name in names if (path := Path(place) / name).is_file()]
    return found
