"""Boards that the shell of this machine stands in for."""

from pathlib import Path

import pytest

from device_tests.host.deploy.shell_link import ShellLink
from groundspeed.deploy.devices import pool, using


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ShellLink]:
    """Two boards, reached by the shell, and a groundspeed.toml that names them."""
    links = {}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        links[f"ssh://{name}"] = ShellLink(tmp_path / name)
    (tmp_path / "groundspeed.toml").write_text(
        '[devices]\nboard = "ssh://one"\nshelf = ["ssh://one", "ssh://two"]\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(using, "open_link", lambda device: links[str(device.addresses[0])])
    monkeypatch.setattr(using, "POLL_S", 0.05)
    monkeypatch.setattr(pool, "AGAIN_S", 0.05)
    return links
