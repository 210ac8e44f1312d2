"""Arrays in files. Oracle: numpy's own reader."""

from __future__ import annotations

import io

import numpy as np

from groundspeed.runtimes.feeds import as_npz


def test_arrays_of_any_name_come_back_from_the_file() -> None:
    arrays = {
        "file": np.arange(6, dtype=np.float32).reshape(2, 3),
        "allow_pickle": np.array(-3, np.int8),
        "a/b:0": np.zeros((0, 2), np.int64),
        "transposed": np.arange(6.0).reshape(2, 3).T,
    }
    with np.load(io.BytesIO(as_npz(arrays))) as archive:
        assert set(archive.files) == set(arrays)
        for name, array in arrays.items():
            assert archive[name].dtype == array.dtype
            np.testing.assert_array_equal(archive[name], array)


def test_the_same_arrays_are_the_same_bytes() -> None:
    arrays = {"x": np.ones((1, 3, 4, 4), np.float32)}
    assert as_npz(arrays) == as_npz(arrays)
