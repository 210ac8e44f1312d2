"""Files on a device: whole or not there, and pushed once."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from groundspeed.deploy.targets.cache import TRIES, Cache
from groundspeed.errors import ArtifactError, DeviceLost, DeviceRefused


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a model; $(touch pwned).bin"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


def test_a_file_arrives_under_its_own_name_and_content(link: Any, model: Path) -> None:
    there = Cache(link).ensure([model])[model]
    assert there.name == model.name
    assert there.parent.name == hashlib.sha256(model.read_bytes()).hexdigest()
    assert Path(there).read_bytes() == model.read_bytes()
    assert not list(Path(link.folder).rglob("pwned"))


def test_what_is_there_is_never_pushed_again(link: Any, model: Path) -> None:
    first, again = Cache(link), Cache(link)
    first.ensure([model, model])
    first.ensure([model])
    again.ensure([model])
    assert link.pushed == [model.name]


def test_another_content_is_another_file(link: Any, model: Path) -> None:
    cache = Cache(link)
    old = cache.ensure([model])[model]
    model.write_bytes(b"new")
    new = cache.ensure([model])[model]
    assert Path(old).read_bytes() != Path(new).read_bytes() == b"new"


def test_what_was_deleted_there_comes_again_when_the_cache_looks_anew(
    link: Any, model: Path
) -> None:
    cache = Cache(link)
    Path(cache.ensure([model])[model]).unlink()
    cache.forget()
    assert Path(cache.ensure([model])[model]).exists()


@pytest.mark.parametrize("bad", [1, TRIES])
def test_a_file_that_arrives_damaged_is_sent_again_and_never_kept(
    link: Any, model: Path, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    whole, left = type(link).push, [bad]

    def damaging(self: Any, source: Path, destination: str, **more: Any) -> str:
        if left[0]:
            left[0] -= 1
            source = model.with_name("damaged")
            source.write_bytes(model.read_bytes()[:-1])
        return str(whole(self, source, destination, **more))

    monkeypatch.setattr(type(link), "push", damaging)
    if bad < TRIES:
        assert Path(Cache(link).ensure([model])[model]).read_bytes() == model.read_bytes()
    else:
        with pytest.raises(DeviceLost, match=r"arrived damaged .* 3 times in a row"):
            Cache(link).ensure([model])
        assert not [path for path in Path(link.folder).rglob("*") if path.is_file()]


def test_a_push_that_breaks_leaves_nothing_that_looks_whole(
    link: Any, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(self: Any, source: Path, destination: str, **more: Any) -> None:
        Path(destination).write_bytes(source.read_bytes()[:1000])
        raise DeviceLost("the cable was pulled")

    with monkeypatch.context() as patch:
        patch.setattr(type(link), "push", breaking)
        with pytest.raises(DeviceLost, match="cable"):
            Cache(link).ensure([model])
    assert Path(Cache(link).ensure([model])[model]).read_bytes() == model.read_bytes()


def test_a_file_that_is_not_here_is_told(link: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="export it again"):
        Cache(link).ensure([tmp_path / "missing.onnx"])


def test_a_disk_without_space_is_told_before_anything_is_sent(
    link: Any, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundspeed.deploy.targets.cache._free_bytes", lambda line: 1000)
    with pytest.raises(DeviceRefused, match="0 MB free, 0 MB are to be put there"):
        Cache(link).ensure([model])
    assert link.pushed == []
