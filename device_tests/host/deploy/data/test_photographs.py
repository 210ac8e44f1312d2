"""Crops of photographs that packages bring along: seeded, and different from each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundspeed.deploy.data import load_data, photographs
from groundspeed.errors import MissingExtra

SHAPE = (1, 3, 16, 24)


@pytest.fixture
def two_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that holds two photographs, one bright and one dark, each a horizontal ramp."""
    folder = tmp_path / "album_of_photographs"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('found, not imported')")
    for name, least in (("dark.png", 0), ("bright.png", 128)):
        ramp = np.linspace(least, least + 127, 120).astype(np.uint8)
        Image.fromarray(np.broadcast_to(ramp[:, None], (80, 120, 3))).save(folder / name)
    monkeypatch.syspath_prepend(str(tmp_path))
    album = {folder.name: ("dark.png", "bright.png", "missing.png"), "no_such_package": ("a.png",)}
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", album)


@pytest.mark.usefixtures("two_photographs")
def test_crops_come_from_each_photograph_in_turn() -> None:
    data = load_data("photographs:mean=0,std=1", shape=SHAPE, limit=6)
    assert (len(data), data.labels) == (6, None)
    assert [sample.mean() > 0.5 for sample in data] == [False, True] * 3
    assert {sample.shape for sample in data} == {SHAPE[1:]}
    assert "6 crops of 2 photographs" in data.name


@pytest.mark.usefixtures("two_photographs")
def test_crops_differ_from_each_other_and_repeat_with_their_seed() -> None:
    first, again, other = (
        np.stack(list(load_data("photographs", shape=SHAPE, limit=8, seed=seed)))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len({sample.tobytes() for sample in first}) == 8


def test_without_the_packages_the_message_has_the_pip_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", {"no_such_package": ("a.png",)})
    with pytest.raises(MissingExtra, match="pip install scikit-image"):
        load_data("photographs", shape=SHAPE)


def test_real_photographs_spread_as_normalized_images_do() -> None:
    data = load_data("photographs", shape=(1, 3, 64, 64), limit=40)
    values = np.stack(list(data))
    assert abs(values.mean()) < 1
    assert 0.5 < values.std() < 2
