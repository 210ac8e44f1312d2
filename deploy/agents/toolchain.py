"""Compilers for the architectures that devices have."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundspeed.errors import BuildFailed, MissingExtra, UsageError

BUILD_S = 3600.0  # a busy machine builds slowly; what takes longer hangs
_TAIL = 3  # lines of a compiler's complaint that a message repeats


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A processor architecture that runners are built for.

    Attributes:
        name: what ``uname -m`` says of it, "armv7" for all of 32 bits.
        debian: prefix of the names of Debian's cross compiler.
        zig: the target in zig's words, with a C library that can be linked statically.
        android: the target in the words of Android's compilers.
        flags: what GNU compilers must be told of it.
        loader: file name of its program loader.
    """

    name: str
    debian: str
    zig: str
    android: str
    loader: str
    flags: tuple[str, ...] = ()


ARCHITECTURES = {
    each.name: each
    for each in (
        Architecture(
            name="aarch64",
            debian="aarch64-linux-gnu",
            zig="aarch64-linux-musl",
            android="aarch64-linux-android24",
            loader="ld-linux-aarch64.so.1",
        ),
        Architecture(
            name="armv7",
            debian="arm-linux-gnueabihf",
            zig="arm-linux-musleabihf",
            android="armv7a-linux-androideabi24",
            loader="ld-linux-armhf.so.3",
            flags=(
                *("-march=armv7-a", "-mfloat-abi=hard", "-mfpu=neon"),
                # Else large disks' files cannot be looked at, and clocks end in 2038.
                *("-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"),
            ),
        ),
        Architecture(
            name="x86_64",
            debian="x86_64-linux-gnu",
            zig="x86_64-linux-musl",
            android="x86_64-linux-android24",
            loader="ld-linux-x86-64.so.2",
        ),
    )
}


def architecture(machine: str) -> Architecture:
    """Return the architecture of a device whose ``uname -m`` says ``machine``.

    Raises:
        UsageError: no runner can be built for it.
    """
    name = {"x86-64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if name.startswith(("armv7", "armv8")):
        name = "armv7"
    if name not in ARCHITECTURES:
        raise UsageError(
            f"no native agent can be built for {machine}; known: {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """A compiler for one architecture.

    Attributes:
        architecture: what it compiles for.
        c, cxx, ar, ranlib: command words of its programs.
        strip: the same of the program that removes symbols; empty where the linker does that.
        version: what the compiler says of itself.
        flags: what it must always be told.
        has_openmp: whether it brings an OpenMP runtime.
    """

    architecture: Architecture
    c: tuple[str, ...]
    cxx: tuple[str, ...]
    ar: tuple[str, ...]
    ranlib: tuple[str, ...]
    strip: tuple[str, ...]
    version: str
    flags: tuple[str, ...]
    has_openmp: bool

    def library(self, name: str) -> Path | None:
        """Return the file that the compiler would link as ``name``, or None."""
        said = Path(run([*self.cxx, f"-print-file-name={name}"], "asking the compiler").strip())
        return said.resolve() if said.is_absolute() and said.is_file() else None


def find_toolchain(wanted: Architecture) -> Toolchain:
    """Return a compiler for an architecture: Debian's, this machine's own, or zig's.

    Raises:
        MissingExtra: there is none; the message says how to install one.
    """
    own = wanted.name == platform.machine()
    for prefix in (f"{wanted.debian}-", *([""] if own else [])):
        if program(f"{prefix}g++") is not None:
            return _gnu(wanted, prefix)
    if importlib.util.find_spec("ziglang") is not None:
        return _zig(wanted)
    package = "g++" if own else f"g++-{wanted.debian}"
    raise MissingExtra(
        f"there is no compiler for {wanted.name}; apt-get install {package}, "
        "or pip install 'groundspeed[native]'"
    )


def android_toolchain(wanted: Architecture) -> Toolchain:
    """Return the compiler of the Android NDK that ``ANDROID_NDK_HOME`` names.

    Raises:
        MissingExtra: the variable is not set, or names no NDK.
    """
    home = os.environ.get("ANDROID_NDK_HOME", "")
    bin = Path(home, "toolchains/llvm/prebuilt/linux-x86_64/bin")
    compiler = bin / f"{wanted.android}-clang++"
    if not home or not compiler.is_file():
        raise MissingExtra(
            "libraries built for Android need the Android NDK's compiler; let ANDROID_NDK_HOME "
            "name the folder of an NDK"
        )
    return Toolchain(
        architecture=wanted,
        c=(str(bin / f"{wanted.android}-clang"),),
        cxx=(str(compiler),),
        ar=(str(bin / "llvm-ar"),),
        ranlib=(str(bin / "llvm-ranlib"),),
        strip=(str(bin / "llvm-strip"),),
        version=_version([str(compiler)]),
        flags=("-static-libstdc++",),
        has_openmp=False,
    )


def _gnu(wanted: Architecture, prefix: str) -> Toolchain:
    def named(tool: str) -> tuple[str, ...]:
        return (str(program(f"{prefix}{tool}") or f"{prefix}{tool}"),)

    return Toolchain(
        architecture=wanted,
        c=named("gcc"),
        cxx=named("g++"),
        ar=named("ar"),
        ranlib=named("ranlib"),
        strip=named("strip"),
        version=_version(named("g++")),
        flags=wanted.flags,
        has_openmp=True,
    )


def _zig(wanted: Architecture) -> Toolchain:
    front = (sys.executable, "-P", "-m", "groundspeed.deploy.agents.zig")
    cxx = (*front, "c++", wanted.zig)
    return Toolchain(
        architecture=wanted,
        c=(*front, "cc", wanted.zig),
        cxx=cxx,
        ar=(*front, "ar", wanted.zig),
        ranlib=(*front, "ranlib", wanted.zig),
        # Its own linker strips, and a second "-s" would make it build its libraries anew.
        strip=(),
        version="zig " + run([sys.executable, "-m", "ziglang", "version"], "asking zig").strip(),
        flags=(),
        has_openmp=False,
    )


def program(name: str) -> Path | None:
    """Return where a program is: on PATH, or beside this Python, where pip installs them."""
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def run(
    command: Sequence[str | Path],
    what: str,
    *,
    timeout_s: float = BUILD_S,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a tool to its end and return what it printed.

    Args:
        command: its words.
        what: what it is for, for messages ("compiling npz.cpp").
        timeout_s: longest time that it may take.
        variables: of its environment, beside ours.

    Raises:
        BuildFailed: it failed, or took longer; the message repeats its last lines.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**os.environ, **(variables or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed(f"{what} failed: {error}") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()[-_TAIL:]
        raise BuildFailed(f"{what} failed (exit code {done.returncode}): {' | '.join(lines)}")
    return done.stdout


def _version(compiler: Sequence[str]) -> str:
    return run([*compiler, "--version"], f"asking {compiler[0]}").partition("\n")[0]
