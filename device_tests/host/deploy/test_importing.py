"""The user's own Python: what is named is found, and what fails is placed in their file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from groundspeed.deploy.importing import call_user, split_arguments, user_callable
from groundspeed.errors import DataError, SourceError


@pytest.mark.parametrize(
    ("spec", "head", "arguments"),
    [
        ("net", "net", {}),
        ("file.py:build", "file.py:build", {}),
        ("net:width=0.5,kind=small", "net", {"width": 0.5, "kind": "small"}),
        ("a:b:mean=0.4/0.5/0.6", "a:b", {"mean": "0.4/0.5/0.6"}),
        ("a:b:shape=(3)", "a:b", {"shape": 3}),
        ("folder=odd/file.py:build", "folder=odd/file.py:build", {}),
    ],
)
def test_arguments_stand_behind_the_last_colon(spec: str, head: str, arguments: dict) -> None:
    assert split_arguments(spec) == (head, arguments)


@pytest.mark.parametrize("spec", ["net:width=1,2", "net:0=1", "net:a b=1"])
def test_what_is_no_argument(spec: str) -> None:
    with pytest.raises(SourceError, match="write them as name=value"):
        split_arguments(spec)


def test_a_callable_of_a_file_finds_its_neighbours_and_itself(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("ANSWER = 42\n")
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from neighbour_of_mine import ANSWER\n"
        "@dataclass\n"
        "class Made:\n"
        "    answer: int = ANSWER\n"
    )
    made = user_callable(f"{tmp_path}/mine.py:Made", returns="anything")()
    assert made.answer == 42
    assert type(made).__module__ in sys.modules


def test_what_is_expected_of_a_callable_is_said() -> None:
    with pytest.raises(SourceError, match=r"math has no callable 'pi'; .* returns a number"):
        user_callable("math:pi", returns="a number")


def test_a_failure_is_placed_and_our_own_errors_pass_through(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("def deep():\n    return 1 / 0\n\ndef call():\n    deep()\n")
    call = user_callable(f"{tmp_path}/fails.py:call", returns="nothing")
    with pytest.raises(SourceError, match=r"mine failed at .*fails\.py:2: ZeroDivisionError"):
        call_user(call, "mine")

    def ours() -> None:
        raise DataError("no samples")

    with pytest.raises(DataError, match=r"^no samples$"):
        call_user(ours, "mine")
