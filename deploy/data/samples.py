"""Samples for a network, and what is asked of whoever provides them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundspeed.errors import DataError

Sample = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Samples for a network with one input; each is read when it is asked for.

    Attributes:
        name: what they are, in words ("500 images of photos").
        count: how many there are, at least one.
        read: gives the sample at a position: the network's input without its batch dimension,
            images as [C, H, W].
        labels: the class of each sample, [count]; None for what is not labelled.
        notes: how they were prepared and what is odd about them, a sentence each.
    """

    name: str
    count: int
    read: Callable[[int], Sample]
    labels: Labels | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(f"sample {index} of {self.count}")
        return self.read(index)

    def __iter__(self) -> Iterator[Sample]:
        return map(self.read, range(self.count))

    def batches(self, size: int) -> Iterator[Sample]:
        """Yield the samples in order, ``size`` at a time: [size, C, H, W].

        A last batch that is not full is filled up with its last sample, so that every one has the
        shape that a network with a fixed batch takes.
        """
        for start in range(0, self.count, size):
            batch = [self.read(index) for index in range(start, min(start + size, self.count))]
            yield np.stack(batch + [batch[-1]] * (size - len(batch)))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which samples are wanted.

    Attributes:
        spec: what the user typed, for messages.
        what: the part of it that a kind of data has to find: a path, or the part of a set.
        arguments: what stands behind it as name=value.
        shape: shape of the network's input, batch included.
        limit: how many samples at most; None for all.
        seed: seed of every random choice.
    """

    spec: str
    what: str
    shape: tuple[int, ...]
    limit: int | None = None
    seed: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch."""
        return self.shape[1:]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one sample.

        Raises:
            DataError: the network does not take images of one or three channels.
        """
        if len(self.shape) != 4 or self.shape[1] not in (1, 3):
            raise DataError(
                f"the network's input is {text(self.shape)}, and images fit only [N, 3, H, W] or "
                "[N, 1, H, W]; give an .npz file or a callable that makes its inputs"
            )
        _, channels, height, width = self.shape
        return channels, height, width

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Return which of ``count`` samples to take, ascending: all, or a seeded choice."""
        if self.limit is None or count <= self.limit:
            return np.arange(count)
        generator = np.random.default_rng(self.seed)
        return np.sort(generator.choice(count, self.limit, replace=False))

    def allow_arguments(self, *names: str) -> None:
        """Refuse every argument that is not among ``names``.

        Raises:
            DataError: there is one.
        """
        for name in self.arguments:
            if name not in names:
                known = f"it has: {', '.join(names)}" if names else "it has none"
                raise DataError(f"'{name}' is no option of the data in '{self.spec}'; {known}")


def text(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it: ``[1, 3, 224, 224]``."""
    return f"[{', '.join(map(str, shape))}]"
