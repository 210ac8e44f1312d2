"""Where a quantized file loses its precision: its tensors beside those of a float file.

A tensor of either file is tied to the network's op that computes it. The files may run on different
runtimes and keep feature maps in different orders, so that values are compared in the order that
makes them equal, or nearly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundspeed.deploy.accuracy import Noise
from groundspeed.deploy.contestants import OpenArtifact
from groundspeed.ops import Op

Array = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class TensorError:
    """How far the values of one op are from the reference's.

    Attributes:
        op: name of the op.
        kind: what sort of work it is.
        module: the user's module that it stems from.
        sqnr_db: power of the reference's values over that of the difference, in decibels.
    """

    op: str
    kind: str
    module: str
    sqnr_db: float


def tensor_errors(
    reference: OpenArtifact, other: OpenArtifact, samples: Sequence[NDArray[np.float32]]
) -> tuple[TensorError, ...]:
    """Return the error of every op that both files show, worst first.

    Args:
        reference: the float file.
        other: the file to compare with it.
        samples: inputs, each [1, C, H, W].
    """
    ops = {op.name: op for op in reference.artifact.manifest.ops}
    noises = {name: Noise() for name in ops}
    seen = set()
    for sample in samples:
        for contestant in (reference, other):
            contestant.ask_tensors(sample)
        expected, found = reference.tensors(), other.tensors()
        for name in expected.keys() & found.keys() & ops.keys():
            if expected[name].size == found[name].size:
                noises[name].add(*_alike(expected[name], found[name], ops[name]))
                seen.add(name)
    errors = [
        TensorError(
            op=name, kind=ops[name].kind.value, module=ops[name].module, sqnr_db=noise.sqnr_db
        )
        for name, noise in noises.items()
        if name in seen
    ]
    return tuple(sorted(errors, key=lambda error: error.sqnr_db))


def _alike(expected: Array, found: Array, op: Op) -> tuple[Array, Array]:
    """Return both flat, in the orders in which they differ least."""
    pairs = [
        (one, another)
        for one in _orders(expected, op.output_shape)
        for another in _orders(found, op.output_shape)
    ]
    return min(pairs, key=lambda pair: float(np.sum((pair[0] - pair[1]) ** 2)))


def _orders(array: Array, shape: tuple[int, ...]) -> Iterator[NDArray[np.float64]]:
    """Yield the values in the file's order, and channels first if the file had them last."""
    flat = array.astype(np.float64).ravel()
    yield flat
    if len(shape) > 2 and flat.size == np.prod(shape):
        batch, channels, *sizes = shape
        yield np.moveaxis(flat.reshape(batch, *sizes, channels), -1, 1).ravel()
