"""ncnn as a static library for a device, built from the source archive that PyPI has."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from groundspeed.deploy.agents.downloads import download
from groundspeed.deploy.agents.toolchain import BUILD_S, Toolchain, program, run
from groundspeed.errors import BuildFailed, MissingExtra

OnProgress = Callable[[str], None]

PINNED = "1.0.20261020"  # where ncnn is not installed; else the host and the device have the same
_JOBS = os.cpu_count() or 1
_NINJA_STEP = re.compile(r"\[(\d+)/(\d+)\]")

_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    # The three folders are not in PyPI's archive.
    "NCNN_BUILD_BENCHMARK": "OFF",
    "NCNN_BUILD_TOOLS": "OFF",
    "NCNN_BUILD_EXAMPLES": "OFF",
    "NCNN_BENCHMARK": "ON",  # calls ncnn::benchmark() around each layer, which the runner defines
    "NCNN_VULKAN": "OFF",
    "NCNN_PIXEL": "OFF",
    "NCNN_C_API": "OFF",
    # Nothing that is exported asks for bfloat16, or for weights of few bits in matrix products; and
    # SVE does for ncnn what NEON does.
    "NCNN_BF16": "OFF",
    "NCNN_WEIGHT_QUANT": "OFF",
    "NCNN_ARM84BF16": "OFF",
    "NCNN_ARM86SVE": "OFF",
    "NCNN_DISABLE_EXCEPTION": "ON",
    # Extensions of AMD's that no processor of the last ten years has.
    "NCNN_XOP": "OFF",
    "NCNN_FMA4": "OFF",
}
# The linker shall leave out what nobody calls; and what never throws needs no tables to unwind it.
_SMALL = ("-ffunction-sections", "-fdata-sections", "-fno-asynchronous-unwind-tables")


def ncnn_version() -> str:
    """Return the version to build: the installed one, so that both agents run the same ncnn."""
    try:
        return installed_version("ncnn")
    except PackageNotFoundError:
        return PINNED


def ncnn_options(toolchain: Toolchain) -> dict[str, str]:
    """Return cmake's variables for a library."""
    return {
        **_OPTIONS,
        "NCNN_VERSION": ncnn_version().rpartition(".")[2],
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": toolchain.architecture.name,
        "CMAKE_CXX_FLAGS": shlex.join([*toolchain.flags, *_SMALL]),
        "CMAKE_C_FLAGS": shlex.join(toolchain.flags),
        # clang's OpenMP needs a library that zig and the NDK do not bring; ncnn has a small one.
        **({} if toolchain.has_openmp else {"NCNN_SIMPLEOMP": "ON"}),
    }


def build_ncnn(
    toolchain: Toolchain,
    options: dict[str, str],
    only_layers: Sequence[str],
    folder: Path,
    on_progress: OnProgress,
) -> None:
    """Build ``libncnn.a`` and its headers.

    Args:
        toolchain: what to build with.
        options: what :func:`ncnn_options` gave.
        only_layers: layers to build, in lower case; none named builds all.
        folder: where to build; it gets ``lib/libncnn.a`` and ``include/``.
        on_progress: called with a sentence now and then.

    Raises:
        MissingExtra: cmake or ninja is not installed.
        BuildFailed: the archive cannot be had, or does not compile.
    """
    cmake, ninja = _tool("cmake"), _tool("ninja")
    on_progress(f"fetching the source of ncnn {ncnn_version()}")
    source, made = ncnn_source(folder / "source"), folder / "made"
    layers = sorted(path.stem for path in source.glob("src/layer/*.cpp"))
    left_out = [name for name in layers if only_layers and name not in only_layers]
    variables = {
        **options,
        **_programs(toolchain, folder),
        **{f"WITH_LAYER_{name}": "OFF" for name in left_out},
        "CMAKE_MAKE_PROGRAM": str(ninja),
    }
    on_progress(f"configuring ncnn for {toolchain.architecture.name}")
    run(
        [
            *(cmake, "-G", "Ninja", "-S", source, "-B", made),
            *(f"-D{name}={value}" for name, value in variables.items()),
            f"-DCMAKE_INSTALL_PREFIX={folder}",
            "-DCMAKE_INSTALL_LIBDIR=lib",
        ],
        "configuring ncnn",
    )
    _ninja(ninja, made, f"building ncnn for {toolchain.architecture.name}", on_progress)


def ncnn_source(folder: Path) -> Path:
    """Fetch and unpack ncnn's source archive into ``folder`` and return where its files are.

    Raises:
        BuildFailed: it cannot be had.
    """
    version = ncnn_version()
    # The archive's metadata have today's date as version; only the old resolver lets that pass.
    archive = download(
        f"ncnn=={version}", folder, ["--no-binary", "ncnn", "--use-deprecated=legacy-resolver"]
    )
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"ncnn-{version}"


def _programs(toolchain: Toolchain, folder: Path) -> dict[str, str]:
    """Return cmake's variables for the compiler; a command of many words becomes a script."""
    found = {"C_COMPILER": toolchain.c, "CXX_COMPILER": toolchain.cxx}
    found |= {"AR": toolchain.ar, "RANLIB": toolchain.ranlib}
    variables = {}
    for name, words in found.items():
        path = words[0]
        if len(words) > 1:
            script = folder / name.lower()
            script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            script.chmod(0o755)
            path = str(script)
        variables[f"CMAKE_{name}"] = path
    return variables


def _ninja(ninja: Path, folder: Path, what: str, on_progress: OnProgress) -> None:
    """Run ninja's target "install", and tell how far it is at each tenth."""
    log = folder / "ninja.log"
    command = [str(ninja), "-C", str(folder), f"-j{_JOBS}", "install"]
    told = -1
    with (
        log.open("w+", errors="replace") as kept,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            kept.write(line)
            if found := _NINJA_STEP.match(line):
                step, steps = int(found[1]), int(found[2])
                if step * 10 // steps > told:
                    told = step * 10 // steps
                    on_progress(f"{what}: {step} of {steps} files")
    if process.wait(BUILD_S) != 0:
        wrong = [line for line in log.read_text(errors="replace").splitlines() if "error" in line]
        raise BuildFailed(f"{what} failed: {' | '.join(wrong[:2]) or 'ninja said nothing'}")


def _tool(name: str) -> Path:
    found = program(name)
    if found is None:
        raise MissingExtra(
            f"ncnn is built with {name}; apt-get install cmake ninja-build, "
            "or pip install 'groundspeed[native]'"
        )
    return found
