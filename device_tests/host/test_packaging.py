"""The layout promise: the folder X beside pyproject.toml is imported as groundspeed.X."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import groundspeed

ROOT = Path(__file__).parents[2]
ROOMS = ("deploy", "export", "models", "runtimes")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_with_an_init_is_in_the_wheel() -> None:
    on_disk = {"groundspeed"} | {
        ".".join(("groundspeed", *init.parent.relative_to(ROOT).parts))
        for room in ROOMS
        for init in (ROOT / room).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == on_disk


@pytest.mark.parametrize("room", ROOMS)
def test_the_link_points_at_its_room(room: str) -> None:
    assert (ROOT / "groundspeed" / room).resolve() == ROOT / room


def test_the_changelog_has_this_version_on_top() -> None:
    headings = [
        line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert headings[0].split()[1] == groundspeed.__version__


def test_the_constraints_leave_no_room_for_cuda() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    versions = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert versions["torch"].endswith("+cpu")
    assert not [name for name in versions if name.startswith("nvidia")]
