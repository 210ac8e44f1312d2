"""A folder of images, each resized and cut to the network's input."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groundspeed.deploy.data import normalization
from groundspeed.deploy.data.pictures import UNREADABLE, crop_of, cropped, opened, planes
from groundspeed.deploy.data.samples import Asked, Data, Sample
from groundspeed.errors import DataError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
BROKEN = 0.1  # the largest share of unreadable files that may be left out
NAMED = 3  # how many of them a sentence names


def load(asked: Asked) -> Data:
    """Return the images of a folder, normalized as ImageNet's are unless asked otherwise.

    Sub-folders are classes if there are no images beside them, numbered from 0 in the order of
    their names, as torchvision's ImageFolder does. Every file is read once beforehand, so that
    what cannot be read is known before the work begins.

    Raises:
        DataError: no images, too many that cannot be read, or options that make no sense.
    """
    asked.allow_arguments("crop", *normalization.OPTIONS)
    channels, height, width = asked.image_shape
    crop = crop_of(asked)
    normalize = normalization.IMAGENET[channels].changed(asked.arguments, channels)
    paths, classes, notes = _images(Path(asked.what))
    chosen = [(paths[index], classes[index]) for index in asked.chosen(len(paths))]
    readable, broken = _sorted_out(chosen, asked)

    def read(index: int) -> Sample:
        picture = opened(readable[index][0], channels)
        return normalize(planes(cropped(picture, height, width, crop)))

    labels = [label for _, label in readable]
    return Data(
        name=f"{len(readable)} images of {asked.what}",
        count=len(readable),
        read=read,
        labels=None if None in labels else np.array(labels, np.int64),
        notes=(*notes, *broken, f"{crop:.4g} of the shorter side kept", str(normalize)),
    )


def _images(folder: Path) -> tuple[list[Path], list[int | None], list[str]]:
    """Return the paths of all images, the class of each, and what is odd about them."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; name one that holds images")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in entries if path.is_dir()]
    top = [path for path in entries if _is_image(path)]
    if top:
        note = f"the sub-folders beside the images are left out: {_names(folders)}"
        return top, [None] * len(top), [note] if folders else []
    paths: list[Path] = []
    classes: list[int | None] = []
    for number, each in enumerate(folders):
        found = sorted(path for path in each.rglob("*") if _is_image(path))
        paths += found
        classes += [number] * len(found)
    if not paths:
        raise DataError(
            f"the folder {folder} holds no images ({', '.join(SUFFIXES)}), nor do its sub-folders"
        )
    return paths, classes, [f"{len(folders)} classes, numbered in the order of their folders"]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _sorted_out(
    images: list[tuple[Path, int | None]], asked: Asked
) -> tuple[list[tuple[Path, int | None]], list[str]]:
    """Return the images that can be read, and a note about the others."""
    channels, *_ = asked.image_shape
    readable, broken, reasons = [], [], []
    for path, label in images:
        try:
            opened(path, channels)
        except UNREADABLE as error:
            broken.append(path)
            reasons.append(str(error) or type(error).__name__)
        else:
            readable.append((path, label))
    if not broken:
        return readable, []
    sentence = f"{len(broken)} of {len(images)} images cannot be read: {_names(broken)}"
    if len(broken) > BROKEN * len(images):
        raise DataError(f"{sentence} ({reasons[0]}); repair or remove them")
    return readable, [f"{sentence}; they are left out"]


def _names(paths: list[Path]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(path.name for path in paths[:NAMED]) + more
