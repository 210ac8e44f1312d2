"""Inputs for a session: checked, made up from a seed, or read from a file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from groundspeed.artifact import TensorSpec
from groundspeed.errors import InputError
from groundspeed.runtimes.session import Array


def checked(specs: Sequence[TensorSpec], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the inputs, contiguous and in order of the specs.

    Raises:
        InputError: one is missing, unknown, or of another shape or dtype.
    """
    known = [spec.name for spec in specs]
    for name in inputs:
        if name not in known:
            raise InputError(f"there is no input '{name}'; the inputs are {', '.join(known)}")
    result = {}
    for spec in specs:
        if spec.name not in inputs:
            raise InputError(f"the input '{spec.name}' is missing")
        array = inputs[spec.name]
        if array.shape != spec.shape or array.dtype != np.dtype(spec.dtype):
            raise InputError(
                f"the input '{spec.name}' is {array.dtype} of {_text(array.shape)}; the network "
                f"takes {spec.dtype} of {_text(spec.shape)}"
            )
        result[spec.name] = np.ascontiguousarray(array)
    return result


def random_inputs(specs: Sequence[TensorSpec], seed: int) -> dict[str, Array]:
    """Return seeded inputs: standard normal for floats, the middle half of the range for integers.

    Extreme integers are left out because some networks use them as indices.
    """
    generator = np.random.default_rng(seed)
    result: dict[str, Array] = {}
    for spec in specs:
        dtype = np.dtype(spec.dtype)
        if dtype.kind == "f":
            result[spec.name] = generator.standard_normal(spec.shape).astype(dtype)
        elif dtype.kind in "iu":
            bits = 8 * min(dtype.itemsize, 1)
            low = 0 if dtype.kind == "u" else -(2 ** (bits - 2))
            result[spec.name] = generator.integers(low, 2 ** (bits - 2), spec.shape, dtype=dtype)
        elif dtype.kind == "b":
            result[spec.name] = generator.integers(0, 2, spec.shape).astype(dtype)
        else:
            raise InputError(f"no inputs of type {dtype} can be made up for '{spec.name}'")
    return result


def read_inputs(specs: Sequence[TensorSpec], path: Path) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` file; a single one fits a single input by any name.

    Raises:
        InputError: the file is missing, damaged, or does not fit.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Array] = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InputError(f"there is no input file {path}") from None
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no readable .npz file of arrays: {error}") from error
    if len(specs) == len(arrays) == 1:
        arrays = {specs[0].name: next(iter(arrays.values()))}
    return checked(specs, arrays)


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"
