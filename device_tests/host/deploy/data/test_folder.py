"""A folder of images becomes what a network was trained on, or says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundspeed.deploy.data import load_data
from groundspeed.errors import DataError

SHAPE = (1, 3, 24, 24)


def test_an_image_of_one_colour_is_that_colour_normalized(tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), (255, 0, 51)).save(tmp_path / "a.png")
    data = load_data(str(tmp_path), shape=SHAPE)
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert data[0].shape == SHAPE[1:]
    assert data[0].dtype == np.float32
    for channel, value in zip(data[0], expected, strict=True):
        assert channel == pytest.approx(value, abs=1e-5)
    assert data.labels is None
    assert any("0.485/0.456/0.406" in note for note in data.notes)


def test_cropping_is_resizing_the_shorter_side_and_cutting_the_middle(tmp_path: Path) -> None:
    y, x = np.mgrid[0:96, 0:160]
    smooth = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "ramp.png")
    found = load_data(f"{tmp_path}:mean=0,std=1,crop=0.75", shape=(1, 3, 36, 36))[0] * 255
    # 36 of 48: half the size, then the middle.
    whole = np.asarray(Image.fromarray(smooth).resize((80, 48), Image.Resampling.BILINEAR))
    middle = whole[6:42, 22:58].transpose(2, 0, 1)
    assert np.abs(found - middle).max() <= 1  # one step of 255: where the rounding falls


def test_a_network_of_one_channel_gets_grey(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30), (255, 255, 255)).save(tmp_path / "white.bmp")
    data = load_data(f"{tmp_path}:mean=0.5,std=0.25", shape=(1, 1, 8, 8))
    assert data[0] == pytest.approx(np.full((1, 8, 8), 2.0))


def test_mean_and_std_may_be_given_by_channel(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30), (255, 255, 255)).save(tmp_path / "white.webp")
    data = load_data(f"{tmp_path}:mean=0/0.5/1,std=0.5", shape=SHAPE)
    assert data[0][:, 0, 0] == pytest.approx([2, 1, 0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("mean=dark", "mean=dark is not understood"),
        ("mean=0.1/0.2", "or 3 of them"),
        ("std=0", "a number above 0"),
        ("crop=2", "above 0 and up to 1"),
        ("size=3", "'size' is no option"),
    ],
)
def test_options_that_make_no_sense(picture, options: str, words: str) -> None:
    folder = picture("a.png").parent
    with pytest.raises(DataError, match=words):
        load_data(f"{folder}:{options}", shape=SHAPE)


def test_sub_folders_are_classes_in_the_order_of_their_names(picture) -> None:
    for name in ("dog/a.png", "cat/b.JPG", "cat/deeper/c.jpeg", "ant/d.webp"):
        folder = picture(name).parents[len(Path(name).parts) - 1]
    (folder / "bee").mkdir()
    data = load_data(str(folder), shape=SHAPE)
    assert data.labels is not None
    # ant 0, bee 1 (without images), cat 2, dog 3
    assert data.labels.tolist() == [0, 2, 2, 3]
    assert data.labels.dtype == np.int64


def test_images_beside_sub_folders_are_not_labelled(picture) -> None:
    folder = picture("a.png").parent
    picture("more/b.png")
    data = load_data(str(folder), shape=SHAPE)
    assert (len(data), data.labels) == (1, None)
    assert any("left out: more" in note for note in data.notes)


def test_a_limit_chooses_among_all_classes(picture) -> None:
    for label in range(4):
        for number in range(5):
            folder = picture(f"{label}/{number}.bmp", width=8, height=8).parents[1]
    data = load_data(str(folder), shape=SHAPE, limit=10, seed=3)
    assert data.labels is not None
    assert len(data) == len(data.labels) == 10
    assert len(set(data.labels.tolist())) > 2


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_few_broken_images_are_left_out_and_named(picture, content: bytes) -> None:
    for number in range(19):
        folder = picture(f"{number:02}.png").parent
    (folder / "broken.png").write_bytes(content)
    data = load_data(str(folder), shape=SHAPE)
    assert len(list(data)) == 19
    assert any("1 of 20 images cannot be read: broken.png" in note for note in data.notes)


def test_an_image_that_is_cut_short_is_broken(picture) -> None:
    path = picture("whole.jpg", width=200, height=200)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"1 of 1 images cannot be read: whole\.jpg \(.*truncated"):
        load_data(str(path.parent), shape=SHAPE)


def test_labels_of_broken_images_go_with_them(picture) -> None:
    for label in range(2):
        for number in range(10):
            folder = picture(f"{label}/{number}.png").parents[1]
    (folder / "0" / "3.png").write_bytes(b"")
    data = load_data(str(folder), shape=SHAPE)
    assert data.labels is not None
    assert data.labels.tolist() == [0] * 9 + [1] * 10


def test_many_broken_images_are_an_error(picture) -> None:
    for number in range(8):
        folder = picture(f"{number}.png").parent
    (folder / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 9 images cannot be read: x\.png"):
        load_data(str(folder), shape=SHAPE)


def test_pixels_of_more_than_8_bits_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="of mode I;16"):
        load_data(str(tmp_path), shape=SHAPE)


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"holds no images \(\.bmp"):
        load_data(str(tmp_path), shape=SHAPE)
