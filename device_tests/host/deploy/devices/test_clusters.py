"""Big and little cores, on devices that say so in different ways."""

import re
from pathlib import Path

import pytest

from groundspeed.deploy.devices.clusters import clusters, cores
from groundspeed.deploy.devices.state import parse_state
from groundspeed.errors import UsageError


def recorded(device: str) -> str:
    return Path(__file__).with_name("recorded").joinpath(f"{device}.txt").read_text()


PHONE = parse_state(recorded("phone"))
SILENT = parse_state(re.sub(r"capacity.*\n", "", recorded("phone")))
BOARD = parse_state(recorded("raspberry"))


def test_groups_by_capacity() -> None:
    assert clusters(PHONE) == [(0, 1, 2, 3), (4, 5), (6, 7)]


def test_without_capacities_the_clocks_tell() -> None:
    assert clusters(SILENT) == [(0, 1, 2, 3), (4, 5), (6, 7)]


def test_a_board_of_equal_cores_is_one_group() -> None:
    assert clusters(BOARD) == [(0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("little", (0, 1, 2, 3)), ("big", (4, 5, 6, 7)), ("0-1,6", (0, 1, 6)), ("7", (7,))],
)
def test_what_users_write(text: str, expected: tuple[int, ...]) -> None:
    assert cores(text, PHONE, "pixel") == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("big", "no big cores"), ("0-8", "no CPU 4"), ("huge", "names no cores"), ("", "names no")],
)
def test_cores_that_are_not_there(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        cores(text, BOARD, "pi5")
