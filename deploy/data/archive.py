"""Samples in an ``.npz`` file: floats as the network takes them, or bytes with a normalization."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from groundspeed.deploy.data.checks import Array, as_floats, as_labels, check_shape, range_notes
from groundspeed.deploy.data.normalization import OPTIONS, Normalization
from groundspeed.deploy.data.samples import Asked, Data, Sample
from groundspeed.errors import DataError, InputError
from groundspeed.runtimes.feeds import read_feeds

IMAGES, LABELS = ("images", "x"), ("labels", "y")


def load(asked: Asked) -> Data:
    """Return the samples of an ``.npz`` file.

    Floats are taken as they are. Bytes are taken for pixels, and need to be told how to become
    floats: ``samples.npz:mean=0.5,std=0.5``.

    Raises:
        DataError: no such arrays, another shape or layout than the network's, bytes without a
            normalization, NaN or infinity, or labels that do not fit.
    """
    asked.allow_arguments(*OPTIONS)
    arrays = _arrays(Path(asked.what))
    images = _first(arrays, IMAGES)
    if images is None or images.ndim == 0:
        raise DataError(
            f"{asked.what} has no array {' or '.join(map(repr, IMAGES))}, only: "
            f"{', '.join(arrays) or 'nothing'}; save it with numpy.savez(path, images=...)"
        )
    check_shape(images.shape[1:], asked.sample_shape, asked.what)
    chosen = asked.chosen(len(images))
    labels = _first(arrays, LABELS)
    name, count = f"{len(chosen)} samples of {asked.what}", len(chosen)
    if labels is not None:
        labels = as_labels(labels, len(images), asked.what)[chosen]
    if images.dtype == np.uint8:
        normalize, pixels = _normalization(asked), images.astype(np.uint8, copy=False)

        def read(index: int) -> Sample:
            return normalize(pixels[chosen[index]])

        return Data(name=name, count=count, read=read, labels=labels, notes=(str(normalize),))
    if asked.arguments:
        raise DataError(
            f"{asked.what} holds {images.dtype}, which is not normalized any more; leave out "
            f"{' and '.join(asked.arguments)}"
        )
    floats = [as_floats(images[index], index, asked.what) for index in chosen]
    peak = max((float(np.abs(sample).max(initial=0.0)) for sample in floats), default=0.0)
    return Data(
        name=name, count=count, read=floats.__getitem__, labels=labels, notes=range_notes(peak)
    )


def _arrays(path: Path) -> dict[str, Array]:
    try:
        return read_feeds(path)
    except InputError as error:
        raise DataError(str(error)) from error


def _first(arrays: Mapping[str, Array], names: tuple[str, ...]) -> Array | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _normalization(asked: Asked) -> Normalization:
    if set(asked.arguments) != set(OPTIONS):
        raise DataError(
            f"{asked.what} holds bytes, and the network takes floats: say how they are normalized, "
            f"as in '{asked.what}:mean=0.5,std=0.5', or save floats"
        )
    channels, _, _ = asked.image_shape
    return Normalization(mean=(0.0,), std=(1.0,)).changed(asked.arguments, channels)
