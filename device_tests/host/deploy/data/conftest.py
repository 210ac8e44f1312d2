"""Pictures, arrays and IDX files, written as a user's would be."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WritePicture = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> WritePicture:
    """Return a function that writes a picture of random colours."""

    def write(name: str, *, width: int = 40, height: int = 30, mode: str = "RGB") -> Path:
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(len(name))
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return write


def idx(array: np.ndarray) -> bytes:
    """Return an array of bytes in the IDX format."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Put 20 test pictures, as MNIST's, where GROUNDSPEED_DATA says."""
    pictures = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    folder = tmp_path / "sets" / "mnist"
    folder.mkdir(parents=True)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pictures)))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(20, dtype=np.uint8) % 10))
    monkeypatch.setenv("GROUNDSPEED_DATA", str(tmp_path / "sets"))
    return pictures
