"""What arrays of the user's must be before a network sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.data.samples import Labels, Sample, text
from groundspeed.errors import DataError

Array = NDArray[np.generic]

LARGE = 32.0  # normalized pixels are a few units at most


def check_shape(found: tuple[int, ...], wanted: tuple[int, ...], where: str) -> None:
    """Refuse samples of another shape than the network's input.

    Args:
        found: shape of a sample.
        wanted: shape of the network's input, both without the batch.
        where: what holds the sample, for the message.

    Raises:
        DataError: they differ; the message tells when only the layout is another.
    """
    if found == wanted:
        return
    channels_last = len(wanted) == 3 and found == (*wanted[1:], wanted[0])
    advice = (
        "its channels are last, so move them first with numpy.moveaxis(sample, -1, 0)"
        if channels_last
        else "give samples of that shape, images with their channels first"
    )
    raise DataError(
        f"a sample in {where} has the shape {text(found)}, and the network takes {text(wanted)}; "
        f"{advice}"
    )


def as_floats(sample: Array, index: int, where: str) -> Sample:
    """Return a sample as float32.

    Raises:
        DataError: it is of another kind, or it holds NaN or infinity.
    """
    if sample.dtype.kind != "f":
        raise DataError(
            f"sample {index} of {where} holds {sample.dtype}; give float32, prepared as the "
            "network takes it"
        )
    floats = sample.astype(np.float32, copy=False)
    if not np.isfinite(floats).all():
        raise DataError(f"sample {index} of {where} holds NaN or infinity; repair or remove it")
    return floats


def as_labels(labels: Array, count: int, where: str) -> Labels:
    """Return labels as int64.

    Raises:
        DataError: they are no classes, or not one for each of ``count`` samples.
    """
    if labels.shape != (count,):
        raise DataError(
            f"{where} has labels of shape {text(labels.shape)} for {count} samples; "
            "one whole number for each is needed"
        )
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise DataError(f"the labels in {where} are no classes; whole numbers from 0 are needed")
    return labels.astype(np.int64)


def range_notes(peak: float) -> tuple[str, ...]:
    """Return what is odd about samples whose largest magnitude is ``peak``."""
    if peak <= LARGE:
        return ()
    return (f"taken as they are, though values reach {peak:.4g} and normalized images' do not",)
