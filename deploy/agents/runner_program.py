"""The program of a native agent, compiled from the sources in ``runtimes/native``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import groundspeed
from groundspeed.deploy.agents.kept import Kept
from groundspeed.deploy.agents.toolchain import Toolchain, run

RUNNER = "runner"
# What all runners have in common, and what each has of its own.
SHARED = (
    *("agent", "answering", "arrays", "conditions", "feeds", "files", "job", "json", "measure"),
    *("npz", "timing"),
)
OWN = {
    "ncnn": ("on_ncnn", "ncnn_param"),
    "litert": ("on_litert", "litert_alignment", "litert_library", "tflite_file"),
    "onnxruntime": ("on_onnxruntime", "onnx_wire", "onnxruntime_trace"),
}
_COMPILING = ("-std=c++17", "-O2", "-Wall", "-Wextra")
_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """What one runtime adds to the agent.

    Attributes:
        runtime: its name.
        engine_version: version of its library, where that does not tell it itself.
        headers: folders with its headers.
        linked: what is linked with it: libraries and options.
    """

    runtime: str
    engine_version: str = ""
    headers: tuple[Path, ...] = ()
    linked: tuple[str, ...] = ()


def runner_program(
    toolchain: Toolchain, wanted: Ingredients, kept: Kept, on_progress: Callable[[str], None]
) -> Path:
    """Return the program for one runtime and architecture, stripped.

    Raises:
        BuildFailed: something does not compile.
    """
    name = toolchain.architecture.name
    general = [
        *(*_COMPILING, *toolchain.flags),
        _defined("GROUNDSPEED_VERSION", groundspeed.__version__),
    ]
    own = [
        *general,
        *(f"-I{folder}" for folder in wanted.headers),
        _defined("GROUNDSPEED_COMPILER", toolchain.version),
        _defined("GROUNDSPEED_ENGINE_VERSION", wanted.engine_version),
    ]
    with as_file(files("groundspeed.runtimes") / "native") as sources:
        made_from = [toolchain.version, own, wanted.linked, _digests(sources)]

        def shared(folder: Path) -> None:
            on_progress(f"compiling the agent for {name}")
            _compile(toolchain, general, [sources / f"{each}.cpp" for each in SHARED], folder)

        def program(folder: Path) -> None:
            common = kept.get(f"agent-{name}", [made_from[0], general, made_from[3]], shared)
            on_progress(f"compiling the agent's {wanted.runtime} for {name}")
            parts = [sources / f"{each}.cpp" for each in OWN[wanted.runtime]]
            _compile(toolchain, own, parts, folder)
            objects = [*common.glob("*.o"), *folder.glob("*.o")]
            made = folder / RUNNER
            run([*toolchain.cxx, *objects, *toolchain.flags, *wanted.linked, "-o", made], "linking")
            if toolchain.strip:
                run([*toolchain.strip, made], "stripping")
            for leftover in folder.glob("*.o"):
                leftover.unlink()

        return kept.get(f"{wanted.runtime}-{name}", made_from, program) / RUNNER


def _compile(
    toolchain: Toolchain, words: Sequence[str], sources: Iterable[Path], folder: Path
) -> None:
    def one(source: Path) -> None:
        made = folder / f"{source.stem}.o"
        run([*toolchain.cxx, *words, "-c", source, "-o", made], f"compiling {source.name}")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, sources))


def _digests(sources: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(sources.iterdir())
        if path.suffix in (".cpp", ".h")
    }


def _defined(name: str, value: str) -> str:
    return f'-D{name}="{value}"'
