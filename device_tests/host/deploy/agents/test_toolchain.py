"""Which compiler is taken for which device, and what is said where there is none."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from groundspeed.deploy.agents import toolchain
from groundspeed.deploy.agents.toolchain import (
    ARCHITECTURES,
    android_toolchain,
    architecture,
    find_toolchain,
    run,
)
from groundspeed.deploy.agents.zig import translated
from groundspeed.errors import BuildFailed, MissingExtra, UsageError

OTHER = "aarch64" if platform.machine() != "aarch64" else "x86_64"


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("aarch64", "aarch64"),
        ("arm64", "aarch64"),
        ("armv7l", "armv7"),
        ("armv8l", "armv7"),
        ("x86_64", "x86_64"),
    ],
)
def test_devices_name_their_architecture_in_many_ways(machine: str, name: str) -> None:
    assert architecture(machine).name == name


def test_an_architecture_without_a_runner_is_refused() -> None:
    with pytest.raises(UsageError, match="riscv64"):
        architecture("riscv64")


def program(folder: Path, name: str, says: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder in which programs are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    return tmp_path


def test_debians_cross_compiler_is_taken_where_it_is(only: Path) -> None:
    wanted = ARCHITECTURES[OTHER]
    program(only, f"{wanted.debian}-g++", "the cross compiler 12")
    found = find_toolchain(wanted)
    assert found.cxx == (str(only / f"{wanted.debian}-g++"),)
    assert found.version == "the cross compiler 12"
    assert found.has_openmp


def test_this_machines_own_compiler_builds_for_it_alone(only: Path) -> None:
    program(only, "g++", "the compiler 12")
    assert find_toolchain(ARCHITECTURES[platform.machine()]).version == "the compiler 12"
    with pytest.raises(MissingExtra, match=f"g\\+\\+-{ARCHITECTURES[OTHER].debian}"):
        find_toolchain(ARCHITECTURES[OTHER])


def test_without_an_ndk_libraries_for_android_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    with pytest.raises(MissingExtra, match="ANDROID_NDK_HOME"):
        android_toolchain(ARCHITECTURES["aarch64"])


def test_a_tool_that_fails_is_quoted() -> None:
    with pytest.raises(BuildFailed, match=r"compiling x\.cpp failed \(exit code 3\): no such type"):
        run(["sh", "-c", "echo noise; echo 'no such type' >&2; exit 3"], "compiling x.cpp")
    with pytest.raises(BuildFailed, match="timed out"):
        run(["sleep", "60"], "compiling x.cpp", timeout_s=0.1)


def test_zig_is_told_processors_in_its_own_words() -> None:
    gnu = ["-march=armv8.2-a+fp16+dotprod", "-mfpu=neon-vfpv4", "-march=armv8-a", "-O3", "a.cpp"]
    assert list(translated(gnu)) == [
        "-mcpu=generic+v8_2a+fullfp16+dotprod",
        "-mcpu=generic+v7a+neon+vfp4",
        "-mcpu=generic+v8a",
        "-O3",
        "a.cpp",
    ]
