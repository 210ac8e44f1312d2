"""Addresses of targets: what people write, and what must never reach a client as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.targets.address import Address, parse_address
from groundspeed.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local", Address(scheme="local")),
        ("ssh://board", Address(scheme="ssh", host="board")),
        ("ssh://pi@10.0.0.7:2222", Address(scheme="ssh", host="10.0.0.7", user="pi", port=2222)),
        (
            "ssh://pi@[fe80::1%eth0]:22",
            Address(scheme="ssh", host="[fe80::1%eth0]", user="pi", port=22),
        ),
        ("adb://0A1B2C3D", Address(scheme="adb", host="0A1B2C3D")),
        ("adb://192.168.0.9:5555", Address(scheme="adb", host="192.168.0.9:5555")),
        ("lab://rack-3/7", Address(scheme="lab", host="rack-3/7")),
    ],
)
def test_what_people_write(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "board", "ssh://", "ssh://board:0", "ssh://board:70000", "ssh://a b", "adb://"),
        # What a client would read as an option, or a shell as something else.
        *("ssh://-oProxyCommand=reboot", "ssh://-l@board", "adb://-a", "adb://$(reboot)"),
        "ssh://board;reboot",
    ],
)
def test_what_is_none_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="ssh://user@host:port"):
        parse_address(text)


@given(st.text(max_size=20))
def test_a_host_never_begins_like_an_option(text: str) -> None:
    for scheme in ("ssh", "adb"):
        try:
            address = parse_address(f"{scheme}://{text}")
        except UsageError:
            continue
        assert not address.host.startswith("-")
        assert not address.user.startswith("-")
        assert not set(address.host) & set(" \t\n;|&$`'\"\\<>()")
