"""Arrays are taken as they are when they fit, and refused with the reason when they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundspeed.deploy.data import load_data
from groundspeed.errors import DataError

SHAPE = (1, 3, 6, 8)
IMAGES = np.random.default_rng(0).standard_normal((7, *SHAPE[1:]))


@pytest.fixture
def archive(tmp_path: Path):
    def write(**arrays: np.ndarray) -> str:
        np.savez(tmp_path / "samples.npz", **arrays)
        return str(tmp_path / "samples.npz")

    return write


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y")])
def test_floats_are_taken_as_they_are(archive, dtype: type, names: tuple[str, str]) -> None:
    images = IMAGES.astype(dtype)
    data = load_data(archive(**{names[0]: images, names[1]: np.arange(7)}), shape=SHAPE)
    assert data.labels is not None
    assert data.labels.tolist() == list(range(7))
    assert np.array_equal(np.stack(list(data)), images.astype(np.float32))
    assert data.notes == ()


def test_inputs_need_not_be_images(archive) -> None:
    data = load_data(archive(x=np.ones((3, 5))), shape=(1, 5))
    assert data[0].shape == (5,)


def test_labels_follow_the_chosen_samples(archive) -> None:
    spec = archive(x=np.arange(50.0)[:, None], y=np.arange(50))
    data = load_data(spec, shape=(1, 1), limit=9, seed=2)
    assert data.labels is not None
    assert [int(sample[0]) for sample in data] == data.labels.tolist()


def test_channels_last_is_told_from_another_shape(archive) -> None:
    with pytest.raises(DataError, match=r"\[6, 8, 3\].*channels are last"):
        load_data(archive(x=IMAGES.transpose(0, 2, 3, 1)), shape=SHAPE)
    with pytest.raises(DataError, match=r"\[3, 6, 8\].*the network takes \[3, 8, 6\]; give"):
        load_data(archive(x=IMAGES), shape=(1, 3, 8, 6))


def test_bytes_must_be_told_how_to_become_floats(archive) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, *SHAPE[1:]), dtype=np.uint8)
    spec = archive(x=pixels)
    with pytest.raises(DataError, match="say how they are normalized"):
        load_data(spec, shape=SHAPE)
    data = load_data(f"{spec}:mean=0.5,std=0.25", shape=SHAPE)
    assert np.stack(list(data)) == pytest.approx((pixels / 255 - 0.5) / 0.25, abs=1e-6)


def test_floats_are_not_normalized_twice(archive) -> None:
    with pytest.raises(DataError, match="leave out mean and std"):
        load_data(f"{archive(x=IMAGES)}:mean=0.5,std=0.25", shape=SHAPE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_no_network_can_compute_with(archive, value: float) -> None:
    images = IMAGES.copy()
    images[4, 1, 2, 3] = value
    with pytest.raises(DataError, match=r"sample 4 of .*NaN or infinity"):
        load_data(archive(x=images), shape=SHAPE)


def test_floats_that_were_never_normalized_are_remarked(archive) -> None:
    data = load_data(archive(x=np.full((2, *SHAPE[1:]), 255.0)), shape=SHAPE)
    assert any("values reach 255" in note for note in data.notes)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pictures": IMAGES}, "no array 'images' or 'x', only: pictures"),
        ({"x": IMAGES.astype(np.int32)}, "sample 0 of .* holds int32"),
        ({"x": np.float32(3)}, "no array"),
        ({"x": IMAGES, "y": np.arange(6)}, r"labels of shape \[6\] for 7 samples"),
        ({"x": IMAGES, "y": np.eye(7)}, r"labels of shape \[7, 7\]"),
        ({"x": IMAGES, "y": np.linspace(0, 1, 7)}, "are no classes"),
        ({"x": IMAGES, "y": np.arange(-1, 6)}, "are no classes"),
    ],
)
def test_arrays_that_do_not_fit(archive, arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data(archive(**arrays), shape=SHAPE)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(30)])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cut.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cut\.npz is no \.npz file"):
        load_data(str(tmp_path / "cut.npz"), shape=SHAPE)
