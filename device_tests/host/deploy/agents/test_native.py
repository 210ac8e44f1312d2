"""Native runners as what is put on a device: files, and the words that start them."""

from __future__ import annotations

import platform
from pathlib import Path, PurePosixPath

import pytest

from groundspeed.deploy.agents import runner_program
from groundspeed.deploy.agents.engine_libraries import (
    SYSTEM_LIBRARIES,
    is_for_android,
    system_libraries,
    users_library,
)
from groundspeed.deploy.agents.native import NativeRunner, Recipe, build_runner
from groundspeed.deploy.agents.toolchain import architecture, find_toolchain
from groundspeed.errors import MissingExtra, UsageError

ROOT = Path(__file__).parents[4]
RUNNER, LOADER, ENGINE, LIBC = (Path("built", name) for name in ("runner", "ld.so", "lib", "libc"))
THERE = {
    path: PurePosixPath("/device/files", str(index), path.name)
    for index, path in enumerate((RUNNER, LOADER, ENGINE, LIBC))
}


def test_a_static_runner_is_started_alone() -> None:
    assert NativeRunner(files=(RUNNER,)).command(THERE) == ["/device/files/0/runner"]


def test_a_runner_with_libraries_is_started_by_its_own_loader() -> None:
    runner = NativeRunner(files=(RUNNER, LOADER, ENGINE, LIBC), loader=LOADER)
    folders = "/device/files/1:/device/files/2:/device/files/3"
    assert runner.command(THERE) == [
        *("/device/files/1/ld.so", "--library-path", folders, "/device/files/0/runner")
    ]


def test_androids_own_loader_is_told_where_libraries_are() -> None:
    runner = NativeRunner(files=(RUNNER, ENGINE))
    words = ["env", "LD_LIBRARY_PATH=/device/files/2", "/device/files/0/runner"]
    assert runner.command(THERE) == words


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_what_no_registry_has_is_refused(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no registry has its library"):
        build_runner(runtime, "armv7l", folder=tmp_path)


def test_an_unknown_runtime_has_no_runner(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="known: ncnn, litert, onnxruntime"):
        build_runner("tvm", "aarch64", folder=tmp_path)


def test_a_folder_of_own_libraries_must_hold_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"libLiteRt\.so"):
        users_library("litert", tmp_path)


def test_a_library_for_android_needs_the_ndk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    library = tmp_path / "libLiteRt.so"
    library.write_bytes(b"\x7fELF\0libm.so\0libc.so\0")
    assert is_for_android(library)
    with pytest.raises(MissingExtra, match="ANDROID_NDK_HOME"):
        build_runner(
            "litert", "aarch64", recipe=Recipe(libraries=tmp_path), folder=tmp_path / "kept"
        )
    library.write_bytes(b"\x7fELF\0libm.so.6\0libc.so.6\0")
    assert not is_for_android(library)


def test_every_source_is_compiled_into_a_runner() -> None:
    compiled = {*runner_program.SHARED}.union(*runner_program.OWN.values())
    assert compiled == {path.stem for path in (ROOT / "runtimes/native").glob("*.cpp")}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the loader's name is another")
def test_this_machines_own_libraries_go_along(tmp_path: Path) -> None:
    copied = system_libraries(find_toolchain(architecture("x86_64")), tmp_path)
    assert [path.name for path in copied] == ["ld-linux-x86-64.so.2", *SYSTEM_LIBRARIES]
    assert all(path.read_bytes().startswith(b"\x7fELF") for path in copied)
