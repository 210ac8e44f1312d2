"""Input arrays: made from a seed, read from a file, and checked before an engine sees them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError, InputError
from groundspeed.runtimes.session import Array


def checked(specs: Sequence[TensorSpec], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the inputs in the order of ``specs``, each contiguous in memory.

    Raises:
        InputError: an input is missing, unknown, or of another shape or dtype.
    """
    known = [spec.name for spec in specs]
    unknown = sorted(set(inputs) - set(known))
    if unknown:
        raise InputError(
            f"the network has no input '{unknown[0]}'; its inputs are: {', '.join(known)}"
        )
    result: dict[str, Array] = {}
    for spec in specs:
        if spec.name not in inputs:
            raise InputError(f"the input '{spec.name}' is missing; give an array for it")
        array = inputs[spec.name]
        if array.shape != spec.shape:
            raise InputError(
                f"the input '{spec.name}' has shape {list(array.shape)}, "
                f"the network takes {list(spec.shape)}"
            )
        if array.dtype != np.dtype(spec.dtype):
            raise InputError(
                f"the input '{spec.name}' is {array.dtype}, the network takes {spec.dtype}"
            )
        result[spec.name] = np.ascontiguousarray(array)
    return result


def random_feeds(specs: Sequence[TensorSpec], seed: int) -> dict[str, Array]:
    """Return seeded inputs: standard normal floats, bytes over their whole range, else 0 or 1.

    Wider integers are usually indices; 0 and 1 stay inside every table that has two rows.
    """
    generator = np.random.default_rng(seed)
    return {spec.name: _random(spec, generator) for spec in specs}


def _random(spec: TensorSpec, generator: np.random.Generator) -> Array:
    kind = np.dtype(spec.dtype)
    if kind.kind == "f":
        return generator.standard_normal(spec.shape, dtype=np.float32).astype(kind)
    if kind.kind in "iu" and kind.itemsize == 1:
        bounds = np.iinfo(kind)
        return generator.integers(bounds.min, bounds.max, spec.shape, dtype=kind, endpoint=True)
    return generator.integers(0, 1, spec.shape, endpoint=True).astype(kind)


def read_feeds(path: Path) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` file, by name.

    Raises:
        InputError: the file is missing, or holds something else than plain arrays.
    """
    try:
        # Opened here: numpy leaves its own file open when it finds no archive in it.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"the inputs {path} are missing; name an .npz file that exists") from None
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is no .npz file of plain arrays ({error}); write it with numpy.savez"
        ) from error


def as_npz(arrays: Mapping[str, Array]) -> bytes:
    """Return arrays as an ``.npz`` file, the same bytes for the same arrays.

    ``numpy.savez`` takes arrays by keyword, so that a tensor named as one of its own would be lost;
    and which those are, differs between versions of numpy.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def file_of(files: Mapping[str, Path], role: str, runtime: str) -> Path:
    """Return the path that plays ``role``.

    Raises:
        ArtifactError: no file plays it, or the file is not there or is empty.
    """
    if role not in files:
        given = ", ".join(sorted(files)) or "nothing"
        raise ArtifactError(f"{runtime} opens a file in the role '{role}', but was given {given}")
    path = files[role]
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; export it again")
    if path.stat().st_size == 0:
        raise ArtifactError(f"{path} is empty; export it again")
    return path
