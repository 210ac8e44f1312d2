"""Samples and profiles as compressed bytes: one column instead of a row for each number."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def pack(samples_ns: Sequence[int]) -> bytes:
    """Return the samples as compressed little-endian unsigned 64-bit integers.

    The upper bytes are zero and compress to next to nothing, so one width serves every duration.
    """
    return zlib.compress(np.asarray(samples_ns, dtype="<u8").tobytes())


def unpack(blob: bytes) -> list[int]:
    """Return what :func:`pack` took."""
    samples: list[int] = np.frombuffer(zlib.decompress(blob), dtype="<u8").tolist()
    return samples


def pack_json(plain: Any) -> bytes:
    """Return ``plain`` as compressed JSON."""
    return zlib.compress(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())


def unpack_json(blob: bytes) -> Any:
    """Return what :func:`pack_json` took."""
    return json.loads(zlib.decompress(blob))
