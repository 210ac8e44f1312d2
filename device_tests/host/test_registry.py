"""A registry imports on use, names what is missing, and refuses a taken name."""

from __future__ import annotations

import sys

import pytest

from groundspeed.errors import MissingExtra, UnknownName
from groundspeed.registry import Entry, Registry


def registry() -> Registry:
    return Registry(
        "runtime",
        "groundspeed.nothing",
        {
            "fractions": Entry(target="fractions:Fraction", extra="", summary="ships with Python"),
            "absent": Entry(target="no_such_package:Thing", extra="absent-extra", summary=""),
        },
    )


def test_an_entry_is_imported_when_it_is_loaded() -> None:
    from fractions import Fraction

    assert registry().load("fractions") is Fraction


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no runtime 'fraction'; did you mean fractions"):
        registry().load("fraction")


def test_a_far_off_name_gets_the_list() -> None:
    with pytest.raises(UnknownName, match="known: absent, fractions"):
        registry().load("zzz")


def test_a_missing_package_gets_the_pip_line() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'groundspeed\[absent-extra\]'"):
        registry().load("absent")
    assert "no_such_package" not in sys.modules


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match="already registered as fractions:Fraction"):
        registry().register("fractions", Entry(target="a:b", extra="", summary=""))


def test_it_lists_its_names_sorted() -> None:
    assert list(registry()) == ["absent", "fractions"]
