"""Where a store lies, and that nobody ever reads a password there."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.store.location import Location, masked
from groundspeed.errors import UsageError


def test_a_path_is_a_folder() -> None:
    assert Location.parse("some/results") == Location(folder=Path("some/results"))
    assert str(Location.parse("some/results")) == "some/results"


def test_databases_have_folders_of_their_own() -> None:
    texts = [
        "postgresql://db.example.org/speed",
        "postgresql://db.example.org/speed2",
        "postgresql://db.example.org:5433/speed",
        "postgresql://other.example.org/speed",
        "postgresql:///speed?host=/run/postgresql",
    ]
    folders = {Location.parse(text).folder for text in texts}
    assert len(folders) == len(texts)
    assert Path("groundspeed-results/speed@db.example.org") in folders
    assert {folder.parent for folder in folders} == {Path("groundspeed-results")}


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=["L", "N", "P", "S"])),
    st.sampled_from(["postgresql://", "postgres://"]),
)
def test_no_password_is_shown(secret: str, scheme: str) -> None:
    secret = f"<{secret}>"
    address = f"{scheme}me:{quote(secret, safe='')}@db.example.org/speed"
    assert Location.parse(address).server == address
    for shown in (
        str(Location.parse(address)),
        str(Location.parse(address).folder),
        masked(shlex.join(["groundspeed", "check", "--store", address])),
        masked(shlex.join([f"--store={address}", "--json"])),
    ):
        assert quote(secret, safe="") not in shown
    assert str(Location.parse(address)) == f"{scheme}me:***@db.example.org/speed"


def test_a_password_among_the_parameters_is_not_shown() -> None:
    shown = masked("--store 'postgresql://db/speed?user=me&password=secret&sslmode=require'")
    assert shown == "--store 'postgresql://db/speed?user=me&password=***&sslmode=require'"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mysql://me:secret@db/speed", r"no store; name a folder, or postgresql"),
        ("postgresql://me:secret@db", "names no database"),
        ("postgresql://me:secret@db:port/speed", "no address of a database"),
    ],
)
def test_other_addresses_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        Location.parse(text)
    assert "secret" not in str(caught.value)
