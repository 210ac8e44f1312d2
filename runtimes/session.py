"""The two protocols that every runtime implements, one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundspeed.artifact import TensorSpec
from groundspeed.measurement import OpProfile, Options

Array = NDArray[np.generic]


class Session(Protocol):
    """An artifact that is open and can run. Close it when done."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, in order."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives, in order."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs, copied out of the runtime's memory, batch dimension included.

        Raises:
            InputError: an input is missing, unknown, or of another shape or dtype.
        """
        ...

    def bind(self, inputs: Mapping[str, Array]) -> Callable[[], object]:
        """Return a call that does one inference on these inputs, with nothing else in it.

        Inputs are copied to where the runtime reads them once, here: timing the returned call
        times the runtime and not Groundspeed.
        """
        ...

    def tensors(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Yield the name and value of every tensor that can be read, in order of computation.

        Values come in the file's own layout; integers with a scale come as the real values that
        they stand for, in float32. Fused kernels may be switched off to reach more of them, so
        this is for comparing values, never for timing.
        """
        ...

    def profile(self, inputs: Mapping[str, Array], runs: int) -> OpProfile:
        """Time every op in ``runs`` runs, interleaved with as many unprofiled runs."""
        ...

    def close(self) -> None:
        """Give back what the runtime holds."""
        ...


class Runtime(Protocol):
    """An engine that is installed on this machine."""

    @property
    def version(self) -> str:
        """Version of the engine's package."""
        ...

    @property
    def build(self) -> str:
        """What else tells builds of one version apart, "" if nothing does."""
        ...

    def open(
        self, files: Mapping[str, Path], options: Options, inputs: Sequence[TensorSpec] = ()
    ) -> Session:
        """Open an artifact's files.

        Args:
            files: role -> path, as in the artifact's manifest.
            options: threads and precision. CPU affinity is the process's matter, not the
                runtime's: the agent sets it before anything is opened.
            inputs: what the manifest says of the inputs, for formats that do not say it
                themselves.

        Raises:
            ArtifactError: a file is missing, cut short, or none of this runtime's.
        """
        ...
