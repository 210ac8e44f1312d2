"""A function of the user's gives samples; its faults are placed in the user's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundspeed.deploy.data import from_callable, load_data
from groundspeed.errors import DataError, SourceError

SHAPE = (1, 3, 4, 4)
USER_FILE = """
import numpy as np
import torch

def plain(count=5):
    return [np.full((3, 4, 4), i, np.float32) for i in range(count)]

def labelled():
    return ((np.zeros((3, 4, 4)), i % 3) for i in range(6))

def tensors():
    for i in range(2):
        yield torch.ones(1, 3, 4, 4), torch.tensor(7)

class Dataset:
    def __len__(self):
        return 4
    def __getitem__(self, index):
        if index >= 4:
            raise IndexError
        return torch.full((3, 4, 4), float(index)), index

def endless():
    while True:
        yield np.zeros((3, 4, 4), np.float32)

def fails_late():
    yield np.zeros((3, 4, 4), np.float32)
    undefined_name

def some_labels():
    return [np.zeros((3, 4, 4)), (np.zeros((3, 4, 4)), 1)]

def number():
    return 7

def channels_last():
    return [np.zeros((4, 4, 3), np.float32)] if False else [np.zeros((4, 5, 3), np.float32)]

def pixels():
    return [np.zeros((3, 4, 4), np.uint8)]

def nothing():
    return []
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_samples.py"
    path.write_text(USER_FILE)
    return path


def test_arrays_without_labels(user_file: Path) -> None:
    data = load_data(f"{user_file}:plain:count=3", shape=SHAPE)
    assert [sample.max() for sample in data] == [0, 1, 2]
    assert data.labels is None


@pytest.mark.parametrize(
    ("function", "labels"),
    [("labelled", [0, 1, 2, 0, 1, 2]), ("tensors", [7, 7]), ("Dataset", [0, 1, 2, 3])],
)
def test_pairs_bring_labels(user_file: Path, function: str, labels: list[int]) -> None:
    data = load_data(f"{user_file}:{function}", shape=SHAPE)
    assert data.labels is not None
    assert data.labels.tolist() == labels
    assert data[0].dtype == np.float32


def test_a_limit_takes_the_first_of_an_endless_callable(user_file: Path) -> None:
    assert len(load_data(f"{user_file}:endless", shape=SHAPE, limit=9)) == 9


def test_an_endless_callable_without_a_limit_is_stopped(
    user_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_callable, "MOST_BYTES", 10_000)
    with pytest.raises(DataError, match="without coming to an end"):
        load_data(f"{user_file}:endless", shape=SHAPE)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("some_labels", "1 of 2 samples without a class"),
        ("number", "returned int"),
        ("channels_last", r"has the shape \[4, 5, 3\]"),
        ("pixels", "holds uint8; give float32"),
        ("nothing", "holds no samples"),
    ],
)
def test_what_gives_no_samples(user_file: Path, function: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data(f"{user_file}:{function}", shape=SHAPE)


def test_a_fault_after_the_first_sample_is_placed(user_file: Path) -> None:
    with pytest.raises(SourceError, match=r"my_samples\.py:\d+: NameError"):
        load_data(f"{user_file}:fails_late", shape=SHAPE)
