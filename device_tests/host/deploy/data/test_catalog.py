"""Whatever way a user names data, they are found, or one sentence says why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from groundspeed.deploy.data import load_data
from groundspeed.deploy.data.catalog import DATA
from groundspeed.errors import DataError, MissingExtra, SourceError

SHAPE = (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nowhere", "no folder of images, no .npz file and no callable"),
        ("no/such/folder", "no folder of images"),
        ("README.md", "no folder of images"),
        ("fashion-mnist:test", "did you mean fashion_mnist"),
        ("fashionmnist:test", "did you mean fashion_mnist"),
        ("missing.npz", "missing.npz"),
        ("folder:missing", "there is no folder missing"),
        ("mnist", "write mnist:train or mnist:test"),
        ("mnist:validation", "write mnist:train or mnist:test"),
        ("mnist:test:means=0.5", "'means' is no option .* it has: mean, std"),
        ("photographs:test", "no part 'test'"),
    ],
)
def test_what_is_no_data_gets_a_sentence(spec: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as error:
        load_data(spec, shape=SHAPE)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("spec", ["no/such.py:samples", "no_such_package.module:samples"])
def test_a_callable_that_is_not_there(spec: str) -> None:
    with pytest.raises(SourceError, match="there is no"):
        load_data(spec, shape=SHAPE)


def test_a_kind_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "arrays.of.mine"
    with path.open("wb") as file:
        np.savez(file, x=np.zeros((2, *SHAPE[1:])))
    assert len(load_data(f"npz:{path}", shape=SHAPE)) == 2


def test_no_samples_are_an_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz", x=np.zeros((0, *SHAPE[1:])))
    with pytest.raises(DataError, match="holds no samples"):
        load_data(str(tmp_path / "none.npz"), shape=SHAPE)


def test_less_than_one_sample_cannot_be_asked_for() -> None:
    with pytest.raises(DataError, match="at least one"):
        load_data("mnist:test", shape=SHAPE, limit=0)


def test_without_pillow_the_message_has_the_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    for module in ("folder", "pictures"):
        monkeypatch.delitem(sys.modules, f"groundspeed.deploy.data.{module}", raising=False)
    with pytest.raises(MissingExtra, match=r"PIL.*groundspeed\[data\]"):
        load_data(str(tmp_path), shape=SHAPE)


def test_the_list_of_kinds_imports_nothing_heavy() -> None:
    check = "import sys, groundspeed.deploy.data; print({'torch', 'scipy', 'PIL'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", list(DATA))
def test_every_kind_can_be_loaded(name: str) -> None:
    assert callable(DATA.load(name))
