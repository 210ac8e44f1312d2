"""What takes long to build is built once, and never half."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from groundspeed.deploy.agents.kept import Kept


def test_a_thing_is_built_once_for_each_recipe(tmp_path: Path) -> None:
    built: list[str] = []

    def build(folder: Path) -> None:
        built.append(folder.name)
        (folder / "thing").write_text(str(len(built)))

    kept = Kept(tmp_path)
    first = kept.get("thing", {"flags": ["-O2"]}, build)
    assert kept.get("thing", {"flags": ["-O2"]}, build) == first
    other = kept.get("thing", {"flags": ["-O3"]}, build)
    assert other != first
    assert [(path / "thing").read_text() for path in (first, other)] == ["1", "2"]


def test_what_fails_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("disk full")

    kept = Kept(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        kept.get("thing", 1, fail)
    whole = kept.get("thing", 1, lambda folder: (folder / "whole").write_text(""))
    assert sorted(path.name for path in whole.iterdir()) == ["recipe.json", "whole"]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [whole]


def test_old_builds_make_room_for_new_ones_of_the_same_name(tmp_path: Path) -> None:
    kept = Kept(tmp_path)

    def get(name: str, recipe: int) -> Path:
        return kept.get(name, recipe, lambda folder: (folder / "thing").write_text(name))

    other = get("runner-library", 0)
    builds = [get("runner", recipe) for recipe in range(6)]
    assert [path.exists() for path in builds] == [False, False, True, True, True, True]
    assert other.exists()


def _build_slowly(folder: Path, log: Path) -> None:
    def build(made: Path) -> None:
        with log.open("a") as file:
            file.write("built\n")
        time.sleep(0.2)
        (made / "thing").write_text("whole")

    assert (Kept(folder).get("thing", 1, build) / "thing").read_text() == "whole"


def test_processes_that_want_the_same_thing_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [
        context.Process(target=_build_slowly, args=(tmp_path / "kept", log)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert log.read_text() == "built\n"
