"""Engines for a board without internet: fetched here for its processor, unpacked there.

``pip`` on this machine resolves wheels for the board's Python, processor and C library; what they
install is pushed as one file and unpacked once: ``<folder>/packages/<digest>``.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from groundspeed.deploy.agents.native import has_native_agent
from groundspeed.deploy.devices.state import State
from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.link import Link
from groundspeed.errors import DeviceRefused

# What each runtime needs from the index; the ranges are those of pyproject.toml.
ENGINES = {
    "onnxruntime": "onnxruntime>=1.20,<2",
    "litert": "ai-edge-litert>=2.2,<2.4",
    "ncnn": "ncnn>=1.0.20250503",
}
# C libraries that wheels are built against, oldest first; a board takes those up to its own.
GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34, 35, 36, 38, 39)
DOWNLOAD_S = 900
UNPACK_S = 600
# Weight that no inference needs.
LEFT_OUT = ("tests", "test", "include", "transformers", "quantization", "tools", "f2py", "examples")

_NO_WHEEL = re.compile(r"No matching distribution found for ([\w.-]+)")

_UNPACK = """
[ -d "$2" ] && exit 0
mkdir -p "$2.part" && tar -xzf "$1" -C "$2.part" && { mv "$2.part" "$2" || [ -d "$2" ]; }
"""
_LIST = 'cd "$1/packages" 2>/dev/null && for one in *; do [ -d "$one" ] && echo "$one"; done; :'


def engine(runtime: str) -> str:
    """Return the name of the package that a runtime is; "" where nobody knows."""
    return re.split("[<>=]", ENGINES.get(runtime, ""))[0]


def provision(
    link: Link,
    state: State,
    runtimes: Sequence[str],
    folder: Path,
    on_progress: Callable[[str], None],
) -> str:
    """Put engines on a board and return the folder where its Python finds them.

    Args:
        link: the way to the board.
        state: what it is.
        runtimes: names of the runtimes that it shall have.
        folder: where bundles are kept on this machine, so that the next board needs no download.
        on_progress: called with a sentence at each stage.

    Raises:
        DeviceRefused: no wheels exist for the board, or it cannot unpack them.
        DeviceLost: the link broke.
    """
    bundle = bundle_for(state, runtimes, folder, on_progress, name=link.name)
    there = Cache(link).ensure([bundle], on_progress)[bundle]
    on_progress(f"unpacking on {link.name}")
    packages = f"{link.folder}/packages/{bundle.name.partition('.')[0]}"
    done = link.run(_UNPACK, [str(there), packages], timeout_s=UNPACK_S)
    if done.status != 0:
        raise DeviceRefused(f"the engines could not be unpacked on {link.name}: {done.complaint}")
    return packages


def provisioned(link: Link) -> list[str]:
    """Return the folders with engines that are on a board."""
    found = link.run(_LIST, [link.folder]).text.splitlines()
    return [f"{link.folder}/packages/{name}" for name in found if not name.endswith(".part")]


def bundle_for(
    state: State,
    runtimes: Sequence[str],
    folder: Path,
    on_progress: Callable[[str], None],
    *,
    name: str,
) -> Path:
    """Return an archive of everything that the runtimes need on such a board.

    Raises:
        DeviceRefused: it has no Python, or no wheels exist for it.
    """
    if state.python is None:
        raise DeviceRefused(
            f"{name} has no python3; install one there, or let the native agent measure "
            '(agent = "native" in groundspeed.toml)'
        )
    asked = ["numpy>=1.26,<3", *(ENGINES[runtime] for runtime in runtimes)]
    command = pip_command(state, asked)
    key = hashlib.sha256("\n".join(command).encode()).hexdigest()[:16]
    path = folder / f"{state.architecture}-{key}.tar.gz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    on_progress(f"fetching {', '.join(runtimes)} for Python {state.python}, {state.architecture}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = Path(scratch, "packages")
        fetched = subprocess.run(
            [sys.executable, "-m", "pip", *command, "--target", str(target)],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_S,
        )
        if fetched.returncode != 0:
            raise DeviceRefused(
                f"no engines could be fetched for {name} ({state.architecture}, Python "
                f"{state.python}): {_why(fetched.stderr)}; install them there by hand, or "
                f"{_way_out(state.architecture, runtimes)}"
            )
        on_progress("packing")
        packed = Path(scratch, "packed.tar.gz")
        with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
            archive.add(target, arcname=".", filter=_needed)
        packed.replace(path)
    return path


def pip_command(state: State, requirements: Sequence[str]) -> list[str]:
    """Return pip's arguments for wheels of a board: its processor, Python and C library."""
    version = ".".join((state.python or "").split(".")[:2])
    newest = state.glibc_minor if state.glibc_minor is not None else GLIBC_MINORS[-1]
    platforms = [
        f"manylinux_2_{minor}_{state.architecture}" for minor in GLIBC_MINORS if minor <= newest
    ]
    arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts"]
    arguments += ["--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    for platform in (*platforms, f"manylinux2014_{state.architecture}"):
        arguments += ["--platform", platform]
    return [*arguments, *requirements]


def _why(said: str) -> str:
    """Return the reason in what pip printed."""
    if missing := _NO_WHEEL.search(said):
        return f"the package index has no wheel of {missing[1]} for it"
    return (said.strip().splitlines() or ["pip said nothing"])[-1]


def _way_out(machine: str, runtimes: Sequence[str]) -> str:
    """Return what the native agent can do there, as advice that ends a sentence."""
    there = [each for each in runtimes if has_native_agent(each, machine)]
    lost = [each for each in runtimes if each not in there]
    advice = (
        f'let the native agent measure {", ".join(there)} (agent = "native" in groundspeed.toml)'
        if there
        else "measure on another device"
    )
    return advice + (f"; for {', '.join(lost)} there is no native agent either" if lost else "")


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # The same content must be the same file, whoever packs it and when.
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    parts = Path(member.name).parts
    if any(part in LEFT_OUT for part in parts[1:]) or parts[:1] == ("bin",):
        return None
    return member
