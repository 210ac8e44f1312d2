"""A runtime that multiplies by a matrix, or misbehaves as its file says."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError


class Engine:
    version, build = "1", ""

    def open(
        self, files: Mapping[str, Path], options: object, inputs: Sequence[TensorSpec] = ()
    ) -> Session:
        with np.load(files["model"]) as file:
            return Session(file["weights"], str(file["behaviour"]), float(file["step"]), inputs)


class Session:
    """``scores = weights @ image``; ``step`` rounds a tensor on the way, as integers would."""

    def __init__(
        self, weights: np.ndarray, behaviour: str, step: float, inputs: Sequence[TensorSpec]
    ) -> None:
        if behaviour == "damaged":
            raise ArtifactError("the file is damaged; export it again")
        self._weights, self._behaviour, self._step = weights, behaviour, step
        self.inputs = tuple(inputs)
        (self._spec,) = inputs[:1]
        shape = (self._spec.shape[0], len(weights))
        self.outputs = (TensorSpec(name="scores", shape=shape, dtype="float32"),)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        print("an engine's chatter")
        if self._behaviour == "crash":
            os.write(2, b"engine: assertion failed\n")
            os.abort()
        if self._behaviour == "hang":
            time.sleep(60)
        if self._behaviour == "raise":
            raise ValueError("no such kernel")
        image = self._rounded(inputs)
        flat = np.moveaxis(image, -1, 1) if self._spec.layout == "NHWC" else image
        scores = flat.reshape(len(flat), -1) @ self._weights.T
        return {"scores": scores * (np.nan if self._behaviour == "nan" else 1)}

    def tensors(self, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        yield "image in the file", self._rounded(inputs)
        yield "scores in the file", self.run(inputs)["scores"]
        yield "tied to nothing", np.zeros(3)

    def close(self) -> None:
        pass

    def _rounded(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        spec = self._spec
        given = inputs[spec.name]
        assert given.shape == spec.shape
        assert given.dtype == np.dtype(spec.dtype)
        image = given.astype(np.float32)
        if spec.scale is not None:
            image = (image - spec.zero_point) * spec.scale
        return np.rint(image / self._step) * self._step if self._step else image
