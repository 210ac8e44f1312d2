"""Samples that a function of the user's gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from groundspeed.deploy.data.checks import Array, as_floats, as_labels, check_shape, range_notes
from groundspeed.deploy.data.samples import Asked, Data, Sample
from groundspeed.deploy.importing import call_user, user_callable
from groundspeed.errors import DataError

MOST_BYTES = 4 << 30  # what an endless callable may fill before it is asked for its end

_END = object()


def load(asked: Asked) -> Data:
    """Return the first samples of a callable, which are held in memory.

    The callable gives arrays of the shape of the network's input without its batch, or pairs of
    such an array and its class. A batch dimension of one may stand in front.

    Raises:
        SourceError: the callable is missing or failed.
        DataError: what it gives is no such thing, or never ends.
    """
    function = user_callable(asked.what, returns="arrays, or pairs of an array and its class")
    made = call_user(lambda: function(**asked.arguments), asked.what)
    samples: list[Sample] = []
    labels: list[Any] = []
    for index, item in enumerate(itertools.islice(_items(made, asked.what), asked.limit)):
        array, label = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        samples.append(_sample(array, index, asked))
        labels.append(label)
        if len(samples) * samples[0].nbytes > MOST_BYTES:
            raise DataError(
                f"{asked.what} gave {len(samples)} samples without coming to an end, more than "
                "memory should hold; say how many to take"
            )
    peak = max((float(np.abs(sample).max(initial=0.0)) for sample in samples), default=0.0)
    return Data(
        name=f"{len(samples)} samples of {asked.spec}",
        count=len(samples),
        read=samples.__getitem__,
        labels=_labels(labels, asked.what),
        notes=range_notes(peak),
    )


def _items(made: Any, what: str) -> Iterator[Any]:
    try:
        items = iter(made)
    except TypeError:
        raise DataError(
            f"{what} returned {type(made).__name__}; it should return arrays, or pairs of an array "
            "and its class"
        ) from None
    while (item := call_user(lambda: next(items, _END), what)) is not _END:
        yield item


def _sample(given: Any, index: int, asked: Asked) -> Sample:
    array: Array = call_user(lambda: np.asarray(given), f"sample {index} of {asked.what}")
    if array.shape == (1, *asked.sample_shape):
        array = array[0]
    check_shape(array.shape, asked.sample_shape, asked.what)
    return as_floats(array, index, asked.what)


def _labels(labels: list[Any], what: str) -> Any:
    missing = sum(label is None for label in labels)
    if missing == len(labels):
        return None
    if missing:
        raise DataError(f"{what} gave {missing} of {len(labels)} samples without a class")
    array: Array = call_user(lambda: np.array([int(label) for label in labels]), what)
    return as_labels(array, len(labels), what)
